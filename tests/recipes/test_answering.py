"""Answers for a whole source: those of the system alone, whatever stopped them in between."""

import json
import shutil
from dataclasses import replace

import pytest

from racm3.data.ahead import Found, Tolerance
from racm3.document import Document, Image
from racm3.errors import ConfigError, SourceError
from racm3.recipes.answering import ANSWERS, Answering
from racm3.retrieval.entry import Entry
from racm3.system import Settings
from racm3.system.many import each
from tests.conftest import picture

HOW = Settings(candidates=2, seed=5)
WORDS = ["a guitar", "an apple", "a leopard", "a train", "a strawberry", "a flag", "two trains"]
CAPTIONED = [Entry(Document.of(text, picture(n)), f"made up {n}") for n, text in enumerate(WORDS)]


@pytest.fixture
def answering(system, tmp_path):
    def make(name: str = "run", **changes: object) -> Answering:
        how = {"settings": HOW, "tolerance": Tolerance(), **changes}
        return Answering(system=system, folder=tmp_path / name, **how)

    return make


def content(answering: Answering) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in answering.folder.iterdir()}


@pytest.mark.parametrize(("at_once", "lanes"), [(1, 1), (1, 3), (3, 2)])
def test_every_answer_is_the_one_that_the_system_gives_alone(answering, system, at_once, lanes):
    run = answering(at_once=at_once, lanes=lanes)
    assert run.draw(iter(CAPTIONED)) == len(WORDS)
    alone = [system.draw(text, replace(HOW, seed=5 + n)) for n, text in enumerate(WORDS)]
    rows = [json.loads(line) for line in (run.folder / ANSWERS).read_text().splitlines()]
    assert [row["consulted"] for row in rows] == [one.to_json()["consulted"] for one in alone]
    assert [row["settings"]["seed"] for row in rows] == list(range(5, 12))
    drawn = [Image.read(run.folder / row["file"]) for row in rows]
    assert drawn == [one.image for one in alone]


def test_captions_come_beside_the_sources_own_ones(answering, system):
    several = replace(CAPTIONED[0], captions=("a guitar", "a red guitar"))
    run = answering()
    entries = [several, Entry(Document.of("no picture")), Entry(Document.of(picture(3)))]
    assert run.caption(entries) == 2
    rows = [json.loads(line) for line in (run.folder / ANSWERS).read_text().splitlines()]
    assert [row["references"] for row in rows] == [["a guitar", "a red guitar"], []]
    alone = [system.caption(picture(i), replace(HOW, seed=5 + n)) for n, i in enumerate((0, 3))]
    assert [row["caption"] for row in rows] == [one.text for one in alone]


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("kept", [0, 2, 5])
def test_what_was_stopped_ends_with_the_same_bytes(answering, at_once, kept):
    whole = answering("whole", at_once=at_once, lanes=2)
    whole.draw(CAPTIONED)
    begun = answering("begun", at_once=at_once, lanes=2)
    shutil.copytree(whole.folder, begun.folder)
    lines = (begun.folder / ANSWERS).read_text().splitlines(keepends=True)
    torn = [*lines[:kept], lines[kept][:40]]
    (begun.folder / ANSWERS).write_text("".join(torn))
    for number in range(kept, len(WORDS)):
        (begun.folder / f"{number:06d}.png").write_bytes(b"half a pict")
    assert begun.draw(CAPTIONED) == len(WORDS)
    assert content(begun) == content(whole)


def test_what_is_finished_asks_nothing(answering, monkeypatch):
    run = answering()
    run.draw(CAPTIONED)
    monkeypatch.setattr(type(run.system), "draw", lambda *_: pytest.fail("it was drawn again"))
    assert run.draw(CAPTIONED) == len(WORDS)


def test_what_was_answered_is_not_opened_again(answering):
    """A hundred thousand photographs that were described are not decoded to describe the next."""
    answering().draw([CAPTIONED[0], Entry(Document.of(picture(9)), "without words"), CAPTIONED[1]])
    opened = []

    def found(entry: Entry) -> Found:
        return Found(entry.source, lambda: opened.append(entry.source) or entry)

    wordless = Entry(Document.of(picture(9)), "without words")
    assert answering().draw(map(found, [CAPTIONED[0], wordless, *CAPTIONED[1:3]])) == 3
    assert opened == ["without words", CAPTIONED[2].source]


def test_another_run_is_refused_the_folder(answering):
    answering().draw(CAPTIONED[:1])
    others = {"candidates 2": {"settings": replace(HOW, candidates=1)}, "at_once 1": {"at_once": 2}}
    for known, other in others.items():
        with pytest.raises(ConfigError, match=f"was begun with {known};"):
            answering(**other).draw(CAPTIONED[:1])
    with pytest.raises(ConfigError, match="was begun with verb 'draw';"):
        answering().caption(CAPTIONED[:1])


def test_another_source_is_refused_the_folder(answering):
    """A picture that has come since moves those after it, and nothing is answered twice."""
    answering().draw(CAPTIONED[:3])
    assert answering().draw(CAPTIONED[:5]) == 5
    with pytest.raises(ConfigError, match="answer 1 in this folder is of made up 1, but"):
        answering().draw([CAPTIONED[0], *CAPTIONED[2:]])
    assert answering().draw(CAPTIONED[:5]) == 5


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_cannot_be_drawn_is_refused_unless_tolerated(answering, at_once):
    entries = [CAPTIONED[0], Entry(Document.of("endless " * 400), "the long one"), CAPTIONED[1]]
    with pytest.raises(SourceError, match=r"the long one: the caption has 3,199 characters"):
        answering(at_once=at_once).draw(entries)
    tolerant = answering(at_once=at_once, tolerance=Tolerance(1))
    assert tolerant.draw(entries) == 2
    assert [p.split(":")[0] for p in tolerant.tolerance.problems] == ["the long one"]
    rows = [json.loads(line) for line in (tolerant.folder / ANSWERS).read_text().splitlines()]
    assert [row["number"] for row in rows] == [0, 2]
    assert rows[1]["settings"]["seed"] == HOW.seed + 2


def test_items_are_taken_as_they_are_needed(system):
    taken = []
    groups = each(system, (taken.append(n) or n for n in range(100)), lambda _, n: n, lanes=2)
    assert [next(groups) for _ in range(3)] == [[0], [1], [2]]
    assert len(taken) < 10
