"""Answering together against answering alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from racm3.errors import GenerationError
from racm3.generation.batching import Batcher, Together
from racm3.generation.constraints import Interleaved, OneGrid, SpanText
from racm3.generation.engine import Engine
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.generation.talk import Request
from tests.generation.test_engine import ALIGNED, MODEL, PLAIN, STREAMS, VOCABULARY, request


@pytest.fixture
def batcher():
    made = Batcher(Engine(MODEL, PLAIN), rows=8)
    yield made
    if any(lane.is_alive() for lane in made.lanes):
        made.close()


def asked() -> list[Request]:
    """Prompts of different lengths, numbers of streams, candidates and kinds of answers."""
    kinds = [
        {"streams": STREAMS[:1], "samples": 3},
        {"streams": STREAMS[:2], "guidance": Guidance(weight=3.0)},
        {"streams": [STREAMS[2]], "grammar": SpanText(VOCABULARY, 7)},
        {"grammar": Interleaved(VOCABULARY, 4, segments=2, longest=3), "longest": 12},
        {"grammar": OneGrid(VOCABULARY, 4), "longest": 4},
    ]
    return [request(sampling=Sampling(), seed=n, **kind) for n, kind in enumerate(kinds * 3)]


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_together_everybody_hears_what_they_would_hear_alone(lanes):
    batcher = Batcher(Engine(MODEL, PLAIN), rows=8, lanes=lanes)
    alone = [Engine(MODEL, PLAIN).generate(one) for one in asked()]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(batcher.generate, asked()))
    assert [[s.ids for s in one] for one in together] == [[s.ids for s in one] for one in alone]
    batcher.close()


def test_a_second_lane_answers_while_the_first_is_busy_and_both_share_the_rows():
    """The first answer ends when the second has; a third, too large beside both, waits for them."""
    batcher, second = Batcher(Engine(MODEL, PLAIN), rows=8, lanes=2), threading.Event()
    most, began = list[int](), threading.Event()

    def wait(_: list[list[int]]) -> None:
        began.set()
        most.append(sum(job.rows for job in batcher.active))
        assert second.wait(30)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.generate, request(samples=3), wait)
        assert began.wait(30)
        assert len(batcher.generate(request(samples=3))) == 3
        third = pool.submit(batcher.generate, request(samples=6), wait)
        deadline = time.monotonic() + 30
        while not batcher.waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sum(job.rows for job in batcher.active) <= 8
        assert not third.done()
        second.set()
        assert [len(one.result()) for one in (first, third)] == [3, 6]
    assert max(most) <= 8
    batcher.close()


def test_aligned_positions_are_walked_for_each_answer_apart():
    batcher = Batcher(Engine(MODEL, ALIGNED))
    alone = [Engine(MODEL, ALIGNED).generate(one) for one in asked()]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(batcher.generate, asked()))
    assert [[s.ids for s in one] for one in together] == [[s.ids for s in one] for one in alone]
    batcher.close()


def test_arrivals_join_between_steps_and_never_exceed_the_rows(batcher):
    """The first answer waits after its third id until four others have asked."""
    sizes, waiting, arrived = list[int](), threading.Event(), threading.Event()
    advance = batcher.engine.advance

    def counting(talks):
        sizes.append(sum(talk.cache.rows for talk in talks))
        return advance(talks)

    def wait(said: list[list[int]]) -> None:
        if len(said[0]) == 3:
            waiting.set()
            assert arrived.wait(30)

    batcher.engine.advance = counting
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.generate, request(samples=3), wait)
        assert waiting.wait(30)
        rest = [pool.submit(batcher.generate, request(samples=3, seed=n)) for n in range(4)]
        deadline = time.monotonic() + 30
        while len(batcher.waiting) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        arrived.set()
        assert all(len(one.result()) == 3 for one in [first, *rest])
    assert sizes[:3] == [3, 3, 3]
    assert max(sizes) == 6


def test_who_gives_up_makes_room_and_disturbs_nobody(batcher):
    def give_up(said: list[list[int]]) -> None:
        if len(said[0]) == 2:
            raise GenerationError("given up")

    with ThreadPoolExecutor(2) as pool:
        leaving = pool.submit(batcher.generate, request(samples=8), give_up)
        staying = pool.submit(batcher.generate, request(samples=2))
        with pytest.raises(GenerationError, match="given up"):
            leaving.result()
        assert staying.result() == Engine(MODEL, PLAIN).generate(request(samples=2))
    assert batcher.active == []


def test_a_request_that_cannot_be_read_fails_alone(batcher):
    with pytest.raises(GenerationError, match="reads"):
        batcher.generate(request(longest=10_000))
    assert batcher.generate(request())[0].ids == Engine(MODEL, PLAIN).generate(request())[0].ids


def test_closing_tells_whoever_waits(batcher):
    batcher.close()
    with pytest.raises(GenerationError, match="shutting down"):
        batcher.generate(request())


def met(requests: list[Request], delays: list[float]) -> list[object]:
    """Every answer, or the error, of who came after so many seconds."""
    together = Together(Engine(MODEL, PLAIN), len(requests))

    def one(number: int) -> object:
        time.sleep(delays[number])
        seat = together.seat(number)
        try:
            first = seat.generate(requests[number])
            return [first, seat.generate(requests[number]) if number % 2 else None]
        except GenerationError as error:
            return str(error)
        finally:
            together.leave(number)

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, range(len(requests))))


def test_who_meets_is_no_matter_of_time():
    """To the last bit of every log-probability, with some who ask twice and some who leave."""
    first = met(asked()[:7], [0.0] * 7)
    assert first == met(asked()[:7], [0.05 * (7 - n) for n in range(7)])
    assert first == met(asked()[:7], [0.05 * (n % 3) for n in range(7)])
    alone = [Engine(MODEL, PLAIN).generate(one) for one in asked()[:7]]
    assert [[s.ids for s in one[0]] for one in first] == [[s.ids for s in one] for one in alone]


def test_a_question_that_cannot_be_read_is_refused_and_the_others_are_answered():
    requests = [*asked()[:2], request(longest=10_000), asked()[3]]
    *found, refused, last = met(requests, [0.0] * 4)
    assert "the prompt and its continuation need" in refused
    assert [*found, last] == [one for n, one in enumerate(met(requests, [0.1, 0, 0, 0])) if n != 2]
