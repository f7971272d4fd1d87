"""How much each consulted document mattered to an answer: its log-probability with and without."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from racm3.document import Image
from racm3.errors import GenerationError
from racm3.generation.constraints import OneGrid, Spans
from racm3.generation.tasks import Task
from racm3.system.results import Answer, Consulted
from racm3.system.voice import Voice
from racm3.tokens.codec import Codec

HEAT = {"helped": (214, 39, 40), "hindered": (31, 119, 180)}


@dataclass(frozen=True, slots=True)
class Influence:
    """What one document did to one answer, in nats: above zero it made the answer likelier.

    `cells` lays the nats over the code grid where the answer is a picture (0 where nothing was
    drawn); `words` over the words where it is a text.
    """

    consulted: Consulted
    nats: Float[np.ndarray, " said"]
    cells: Float[np.ndarray, "rows columns"] | None = None
    words: tuple[tuple[str, float], ...] = ()

    @property
    def total(self) -> float:
        return float(self.nats.sum())

    def to_json(self) -> dict[str, Any]:
        return {
            **self.consulted.to_json(),
            "nats": round(self.total, 4),
            "cells": None if self.cells is None else np.round(self.cells, 3).tolist(),
            "words": [[word, round(nats, 4)] for word, nats in self.words],
        }

    def heat(self, picture: Image, *, strongest: float | None = None) -> Image:
        """The picture in grey, red where the document helped and blue where it hindered."""
        if self.cells is None:
            raise GenerationError("only pictures have a heat map; look at the words instead")
        rows, columns = self.cells.shape
        block = np.ones((picture.height // rows, picture.width // columns))
        share = np.kron(self.cells, block) / (strongest or np.abs(self.cells).max() or 1.0)
        grey = picture.pixels.mean(axis=2, keepdims=True)
        colour = np.where(share[..., None] > 0, HEAT["helped"], HEAT["hindered"])
        strength = 0.75 * np.abs(share).clip(0, 1)[..., None]
        return Image((grey * (1 - strength) + colour * strength).astype(np.uint8))


def influences(voice: Voice, answer: Answer, which: int = 0) -> list[Influence]:
    """For the documents that were read together first.

    Args:
        voice: Of the system that answered.
        answer: A drawing, infilling, caption or text.
        which: Which of its candidates, the best being 0.
    """
    if answer.trace is None:
        raise GenerationError("this answer does not say how it was made; answer again")
    task, ids = answer.trace.task, list(answer.trace.said[which])
    at_once = answer.settings.at_once
    read, score = answer.consulted[:at_once], partial(voice.score, at_once=at_once)
    whole, own = score(task, read, ids), _own(task, len(ids))
    found = []
    for number, one in enumerate(read):
        rest = [*read[:number], *read[number + 1 :]]
        nats = (whole - score(task, rest, ids)).double().numpy() * own
        cells = over_cells(voice.codec, task, nats)
        words = by_word(voice.codec, ids, nats) if cells is None else ()
        found.append(Influence(one, nats, cells, words))
    return found


def over_cells(
    codec: Codec, task: Task, nats: Float[np.ndarray, " said"]
) -> Float[np.ndarray, "rows columns"] | None:
    """The nats of drawn cells, each at its place; nothing where the answer is no picture."""
    grid = codec.image.grid
    if isinstance(task.grammar, OneGrid):
        return nats.reshape(grid.rows, grid.columns)
    if task.masked is None or not isinstance(task.grammar, Spans):
        return None
    cells = np.zeros((grid.rows, grid.columns))
    cells[task.masked] = nats[_own(task, len(nats))]
    return cells


def _own(task: Task, count: int) -> Bool[np.ndarray, " said"]:
    """Which ids the generator chose; what it was told is nobody's doing."""
    if not isinstance(task.grammar, Spans):
        return np.ones(count, dtype=bool)
    return np.array([step.forced is None for step in task.grammar.plan])


def by_word(
    codec: Codec, ids: Sequence[int], nats: Float[np.ndarray, " said"]
) -> tuple[tuple[str, float], ...]:
    """Nats of each word, its pieces added up; markers are left out."""
    words: list[tuple[list[int], float]] = []
    decode = codec.text.decode
    for id_, value in zip(ids, nats.tolist(), strict=True):
        if id_ not in codec.vocabulary.text:
            continue
        if words and not decode([id_], follows=True).startswith(" "):
            words[-1] = ([*words[-1][0], id_], words[-1][1] + value)
        else:
            words.append(([id_], value))
    return tuple(
        (decode(pieces, follows=number > 0), value) for number, (pieces, value) in enumerate(words)
    )
