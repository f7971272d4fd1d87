"""The service behind API and page: earlier states of a memory, and work that can be stopped."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from racm3.document import Document
from racm3.errors import ConfigError, GenerationError, MemoryStoreError
from racm3.interfaces.page.app import opened_by
from racm3.interfaces.server.config import ServerConfig
from racm3.interfaces.server.service import Service, changeable
from racm3.retrieval.entry import Entry
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.shelf import ListShelf, joined
from racm3.system import RACM3, Settings
from racm3.system.cores import lanes
from tests.conftest import picture

Said = list[list[int]]


@pytest.fixture
def service(fresh: RACM3) -> Iterator[Service]:
    one = Service(fresh, ServerConfig())
    yield one
    one.close()


def zebra(number: int = 0) -> Entry:
    return Entry(Document.of("a zebra", picture(20 + number)))


def test_an_earlier_state_answers_as_it_did(service):
    before = service.system.draw("a zebra")
    then = service.store.snapshot
    [added] = service.add([zebra()])
    assert added in {one.id for one in service.search(Document.of("a zebra"), 7, None)}
    again = service.at(then).draw("a zebra")
    assert again.to_json() == before.to_json()
    assert (again.image.pixels == before.image.pixels).all()
    assert added not in {
        one.id for one in service.search(Document.of("a zebra"), 7, None, service.at(then))
    }
    opened = MemoryStore.open(service.store.path, snapshot=then)
    assert service.at(then).snapshot == opened.snapshot_name == before.snapshot
    assert service.at(None) is service.at(service.store.snapshot) is service.system


def test_only_a_few_earlier_states_are_held(service):
    first = service.store.snapshot
    for number in range(6):
        service.add([zebra(number)])
    for state in range(first, first + 6):
        service.at(state)
    assert len(service.earlier) < 6


def test_a_removed_document_is_in_no_state_any_more(service):
    [added] = service.add([zebra()])
    with_it = service.store.snapshot
    service.at(with_it)
    service.remove([added])
    with pytest.raises(MemoryStoreError, match="cannot be opened"):
        service.at(with_it)
    assert with_it not in service.snapshots().values()


def test_a_link_opens_the_state_that_it_was_made_with(service):
    name = service.system.snapshot
    then = service.store.snapshot
    service.add([zebra()])
    *_, state = opened_by(service, {"prompt": "a zebra", "snapshot": name})
    assert state.value == then
    *_, state = opened_by(service, {"prompt": "a zebra", "snapshot": service.system.snapshot})
    assert state.value == 0


@pytest.mark.parametrize(
    ("said", "opened"),
    [("each", "each"), ("1", "1"), ("0", "0"), ("7", "2"), ("many", "2"), (None, "2")],
)
def test_a_link_says_how_many_documents(service, said, opened):
    asked = {"prompt": "a zebra", **({"documents": said} if said else {})}
    *_, count, _ = opened_by(service, asked)
    assert count == opened


def test_a_copied_memory_keeps_what_answers_look_up_by(system: RACM3):
    """Its keywords, too, and other names: a page must find what the command line finds."""
    tags, called = ([f"{one}{row}" for row in system.parts.shelf.ids()] for one in ("tag", "or"))
    parts, known = system.parts, joined(system.parts.shelf.blocks(), system.encoder.dim)
    documents = parts.shelf.documents(known.ids.tolist())
    shelf = ListShelf(documents, known.vectors, columns={"tags": tags, "called": called})
    config = replace(parts.retriever, columns=("tags", "nothing"), aliases=("called",))
    copied = changeable(RACM3(replace(parts, shelf=shelf, retriever=config)))
    store = copied.parts.shelf
    assert list(store.texts(column="tags").values()) == tags
    assert list(store.texts(column="called").values()) == called
    assert store.texts() == shelf.texts()


def test_who_searches_is_shown_near_copies_and_who_answers_is_not(system: RACM3):
    config = replace(system.parts.retriever, too_similar=0.9)
    strict = Service(changeable(RACM3(replace(system.parts, retriever=config))), ServerConfig())
    try:
        (same,) = strict.add([Entry(Document.of("a guitar", picture(1)))])
        asked = Document.of("a guitar", picture(1))
        copies = {same, 1}
        assert {one.id for one in strict.search(asked, 2, None)} == copies
        assert not copies & {one.id for one in strict.system.consult(asked, Settings(documents=4))}
    finally:
        strict.close()


def test_adding_that_is_stopped_adds_nothing(service):
    told: list[Said] = []

    def watch(now: Said) -> None:
        told.append(now)
        if len(told) == 2:
            raise GenerationError("stopped")

    before, many = len(service.store), [zebra(number) for number in range(40)]
    with pytest.raises(GenerationError, match="stopped"):
        service.add(many, watch)
    assert len(service.store) == before
    assert len(service.add(many, told.append)) == 40
    assert [now[0][0] for now in told[2:]] == [0, 16, 32]


def test_classifying_can_be_stopped(service):
    def watch(now: Said) -> None:
        raise GenerationError("stopped")

    shots = {"X": [picture(0)], "Y": [picture(1)]}
    with pytest.raises(GenerationError, match="stopped"):
        service.system.classify(picture(0), shots, watch=watch)


@pytest.mark.parametrize(
    ("threads", "cores", "expected"), [(0, 2, 2), (1, 16, 2), (1, 1, 1), (2, 2, 1)]
)
def test_cores_that_operations_leave_idle_get_a_lane(fresh, monkeypatch, threads, cores, expected):
    fresh.cores = threads
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert lanes(fresh) == expected
    service = Service(fresh, ServerConfig())
    assert {len(batcher.lanes) for batcher in service.batchers} == {expected}
    service.close()
    service = Service(fresh, ServerConfig(lanes=3))
    assert {len(batcher.lanes) for batcher in service.batchers} == {3}
    service.close()
    for wrong in ({"lanes": -1}, {"rows": -1}):
        with pytest.raises(ConfigError, match="lanes"):
            ServerConfig(**wrong)


@pytest.mark.parametrize(("threads", "cores", "expected"), [(0, 2, 24), (0, 1, 12), (2, 2, 64)])
def test_answers_of_small_generators_keep_room_for_guesses(
    fresh, monkeypatch, threads, cores, expected
):
    fresh.cores = threads
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    for config, most in ((ServerConfig(), expected), (ServerConfig(rows=5), 5)):
        service = Service(fresh, config)
        assert {batcher.rows for batcher in service.batchers} == {most}
        service.close()
