"""Documents are read by threads, and nobody can tell but by the clock."""

import threading
from itertools import islice

import pytest

from racm3.data import ahead
from racm3.data.ahead import Found, Tolerance, read_ahead
from racm3.document import Document
from racm3.errors import DocumentError, SourceError
from racm3.retrieval.entry import Entry


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(ahead, "threads", lambda: request.param)
    return request.param


def some(number: int) -> Entry:
    return Entry(Document.of(str(number)), source=str(number))


def broken() -> Entry:
    raise DocumentError("broken")


def read(found, most: int = 0) -> list[str]:
    return [entry.document.text for _, entry in read_ahead(found, Tolerance(most))]


def test_the_order_is_that_of_what_was_found(threads):
    """Though the first is the last to be read, where there are threads for others."""
    later = threading.Event()

    def slow() -> Entry:
        assert threads == 1 or later.wait(30)
        return some(0)

    def second() -> Entry:
        later.set()
        return some(1)

    found = [Found("0", slow), Found("1", second), *(Found(str(n), some(n).read) for n in (2, 3))]
    assert read(found) == ["0", "1", "2", "3"]


def test_what_cannot_be_read_is_refused_in_its_place(threads):
    found = [Found("good", some(0).read), Found("bad", broken), Found("better", some(2).read)]
    tolerance = Tolerance(1)
    assert [one.source for one, _ in read_ahead(found, tolerance)] == ["good", "better"]
    assert tolerance.problems == ["bad: broken"]
    stream = read_ahead(found, Tolerance())
    assert next(stream)[0].source == "good"
    with pytest.raises(SourceError, match="bad: broken"):
        next(stream)


def test_a_mistake_of_ours_is_not_taken_for_a_broken_file(threads):
    def mistaken() -> Entry:
        raise AssertionError("ours")

    with pytest.raises(AssertionError, match="ours"):
        read([Found("0", mistaken)], most=9)


def test_a_few_wait_in_ram_and_no_more(threads):
    begun = list[int]()

    def reading(number: int) -> Entry:
        begun.append(number)
        return some(number)

    found = (Found(str(n), lambda n=n: reading(n)) for n in range(100))
    stream = read_ahead(found, Tolerance())
    list(islice(stream, 10))
    stream.close()
    assert 10 <= len(begun) <= 10 + threads + 1
