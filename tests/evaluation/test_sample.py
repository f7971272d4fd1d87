"""The pieces of a long measurement: each asked once, in order, by whoever comes."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from racm3.document import Image
from racm3.evaluation.report import Row, mean
from racm3.evaluation.sample import FAILURES, Piece, Questions, fingerprint, measured
from racm3.evaluation.shown import Shown, sheet, strip
from racm3.system import RACM3, Settings

ROWS = [
    Row("right", "some", mean([0.0, 1.0, 1.0]), mean([0.0, 0.0, 1.0])),
    Row("more", "", mean([0.5])),
]


def wrong_lines() -> list[Shown]:
    flat = [Image(np.full((8, 8, 3), shade, np.uint8)) for shade in range(FAILURES + 2)]
    return [Shown(f"line {n}", "", (), None, one, "nothing") for n, one in enumerate(flat)]


def test_who_is_stopped_goes_on_and_asks_nothing_twice(tmp_path):
    asked = list[str]()

    def ask(name: str, wrong: list[Shown] | None = None) -> list[Row]:
        asked.append(name)
        if name == "second" and asked.count("second") == 1:
            raise KeyboardInterrupt
        if wrong is not None:
            wrong += wrong_lines()
        return [row._replace(on=name) for row in ROWS]

    pieces = [
        Piece("first", lambda: ask("first")),
        Piece("second", lambda wrong: ask("second", wrong), shows=True),
        Piece("third", lambda: ask("third")),
    ]
    with pytest.raises(KeyboardInterrupt):
        measured(pieces, tmp_path / "kept")
    rows, strips = measured(pieces, tmp_path / "kept")
    assert asked == ["first", "second", "second", "third"]
    assert rows == [row._replace(on=name) for name in ("first", "second", "third") for row in ROWS]
    assert sheet(strips) == sheet(map(strip, wrong_lines()[:FAILURES]))
    assert measured(pieces, tmp_path / "kept") == (rows, strips)
    assert len(asked) == 4


def test_every_measure_has_a_name_of_its_own(shipped):
    pieces = Questions(shipped, 2, Settings()).pieces
    names = [piece.name for piece in pieces]
    assert len(pieces) == len({*names}) > 30
    assert {piece.ask.func.__name__ for piece in pieces if piece.shows} == {
        "drawings", "captions", "several",
    }  # fmt: skip


def test_what_was_measured_of_something_else_is_not_taken(system: RACM3):
    settings = Settings()
    known = fingerprint(system, 5, settings)
    assert fingerprint(system, 5, Settings()) == known
    assert fingerprint(system, 6, settings) != known
    assert fingerprint(system, 5, replace(settings, seed=1)) != known
    other = {name: system.parts.generators["racm3"] for name in system.parts.generators}
    assert fingerprint(RACM3(replace(system.parts, generators=other)), 5, settings) != known
    sees = deepcopy(system.parts.encoder)
    next(sees.clip.vision_model.parameters()).data += 1
    assert fingerprint(RACM3(replace(system.parts, encoder=sees)), 5, settings) != known
    config = replace(system.parts.retriever, candidates=7)
    assert fingerprint(RACM3(replace(system.parts, retriever=config)), 5, settings) != known
