"""Prepared documents to packed batches: seeded, sharded, and resumable from a bookmark."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Int64

from racm3.data.live import Live
from racm3.data.prepared import Prepared
from racm3.errors import ConfigError
from racm3.runtime import dice
from racm3.tokens.codec import Segments
from racm3.tokens.context import (
    Context,
    Packed,
    context,
    fitting,
    half_hidden,
    learning,
    pack,
    shorten,
    size,
)
from racm3.tokens.masking import Masking, Words, choose_spans
from racm3.tokens.placing import Placing
from racm3.tokens.vocabulary import MASKS, Vocabulary

LOOK_AHEAD = 1.25
ORDER, SAMPLE = 1, 2


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """What a training sample is made of.

    Args:
        rows: Packed rows of a batch (on each rank).
        length: Ids in a row. Longer ones waste less, and on a CPU they cost nothing more.
        neighbours: retrieved (RA-CM3), none (vanilla CM3) or random (ablation).
        counts: K is drawn uniformly from these; where words are asked for, as many are read as
            are prepared.
        any_of: Take K at random among all prepared neighbours (CM3Leon: 3 of 2 + 2) instead of
            the K nearest.
        shuffled: The chance that the K nearest are shown in any order; with 1 their place says
            nothing.
        hidden: The share of samples in which part of what is said last is not read, any part of it
            (`tokens.context.half_hidden`).
        masking: CM3 masking of the main document.
        asked: How much words count that are asked for (`Words.ASKED`), in whole documents.
        align: Place every picture's cells from a multiple of this on (`tokens/placing.py`); 0 for
            plain positions.
        seed: Decides order, masks, K and draws.
    """

    rows: int
    length: int
    neighbours: Literal["retrieved", "none", "random"] = "retrieved"
    counts: tuple[int, ...] = (0, 1, 2)
    any_of: bool = False
    shuffled: float = 0.0
    hidden: float = 0.0
    masking: Masking = field(default_factory=Masking)
    asked: float = 1.0
    align: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rows < 1 or self.length < 2 or not self.counts:
            raise ConfigError("rows, length and counts must leave room for something to learn")
        for name in ("shuffled", "hidden"):
            if not 0 <= (chance := getattr(self, name)) <= 1:
                raise ConfigError(f"{name} {chance} is no chance between 0 and 1")
        if self.asked <= 0:
            raise ConfigError(f"asked {self.asked} is no weight; more than 0 is expected")


class Stream:
    """Sample number i is a function of (seed, i), so the bookmark is a handful of numbers.

    Raises:
        ConfigError: The material is of other tokenizers or an older racm3.
    """

    def __init__(
        self,
        prepared: Prepared,
        config: StreamConfig,
        vocabulary: Vocabulary,
        *,
        live: Live | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        theirs = (prepared.about["text_size"], prepared.about["codebook_size"])
        if theirs != (vocabulary.text_size, vocabulary.codebook_size):
            raise ConfigError(
                f"the material was prepared with {theirs[0]} text ids and {theirs[1]} codes, the "
                f"tokenizers have {vocabulary.text_size} and {vocabulary.codebook_size}; "
                "run `racm3 prepare` again"
            )
        if "cells" not in prepared.about:
            raise ConfigError(
                "the material was prepared by an older racm3; run `racm3 prepare` again"
            )
        self.prepared, self.config, self.vocabulary = prepared, config, vocabulary
        self.placing = Placing(vocabulary, prepared.about["cells"], config.align)
        self.live, self.world, self.fresh = live, world, rank
        self.pending: dict[int, Context] = {}
        self._order = lru_cache(maxsize=2)(self._order_of)

    def _order_of(self, epoch: int) -> Int64[np.ndarray, " docs"]:
        order = dice(self.config.seed, ORDER, epoch).permutation(len(self.prepared.documents))
        return order.astype(np.int64)

    def sample(self, number: int) -> Context:
        config = self.config
        epoch, place = divmod(number, len(self.prepared.documents))
        document = int(self._order(epoch)[place])
        rng = dice(config.seed, SAMPLE, number)
        words = Words(int(self.prepared.words[document]))
        retrieved = self._retrieved(document, rng, every=words is Words.ASKED)
        segments = self.prepared.documents[document]
        masking = config.masking
        # Masking makes a sample longer, by a marker, a marker and <eoss> for every span.
        spare = config.length - 2 - 3 * (MASKS - 1)
        main = shorten(segments, max(spare, 2))
        if masking.scope == "main":
            spans = choose_spans(main, masking, rng, words=words)
            kept = fitting(retrieved, size(main) + 1 + 3 * len(spans), config.length)
        else:
            kept = fitting(retrieved, size(main) + 1, spare)
            read = [segment for one in (*kept[::-1], main) for segment in one]
            spans = choose_spans(read, masking, rng, words=words)
        whole = context(kept, main, self.vocabulary, spans, scope=masking.scope)
        whole = learning(whole, words, self.vocabulary, asked=config.asked)
        if not config.hidden or rng.random() >= config.hidden:
            return whole
        return half_hidden(whole, rng.random(), self.vocabulary, rng)

    def _retrieved(self, document: int, rng: np.random.Generator, *, every: bool) -> list[Segments]:
        """Documents to be read beside this one: as many as are prepared, or as chance has."""
        config, prepared = self.config, self.prepared
        count = int(config.counts[rng.integers(len(config.counts))])
        count = prepared.neighbours.shape[2] if every else count
        draw = int(rng.integers(prepared.neighbours.shape[1]))
        if config.neighbours == "none":
            return []
        if config.neighbours == "random":
            rows = rng.integers(len(prepared.memory), size=count)
        else:
            known = prepared.neighbours[document, draw]
            found = self.live.rows(document, rng) if self.live and count else known
            order = rng.permutation(len(found)) if config.any_of else np.arange(len(found))
            rows = found[order[:count]]
            if config.shuffled:
                (other,) = rng.spawn(1)  # whatever is drawn next stays as it would have been
                rows = other.permutation(rows) if other.random() < config.shuffled else rows
        return [prepared.memory[int(row)] for row in rows if row >= 0]

    def __next__(self) -> Packed:
        config, room = self.config, self.config.rows * self.config.length
        waiting = dict(self.pending)
        total = sum(len(one.ids) for one in waiting.values())
        while total < LOOK_AHEAD * room:
            waiting[self.fresh] = one = self.sample(self.fresh)
            self.fresh += self.world
            total += len(one.ids)
        numbers, contexts = list(waiting), list(waiting.values())
        plan = fullest_rows([len(one.ids) for one in contexts], config.rows, config.length)
        placed = {index for row in plan for index in row}
        self.pending = {n: waiting[n] for index, n in enumerate(numbers) if index not in placed}
        return pack([[contexts[i] for i in row] for row in plan], config.length, self.placing)

    def bookmark(self) -> Int64[np.ndarray, " numbers"]:
        return np.array([self.fresh, *self.pending], dtype=np.int64)

    def seek(self, bookmark: Int64[np.ndarray, " numbers"]) -> None:
        self.fresh, *waiting = bookmark.tolist()
        self.pending = {number: self.sample(number) for number in waiting}


def validation_batches(
    prepared: Prepared, config: StreamConfig, vocabulary: Vocabulary, *, batches: int = 2
) -> list[Packed]:
    """Unmasked documents with as many neighbours as training ever shows, always the same ones."""
    plain = Masking(mean_spans=0)
    whole = replace(config, counts=(max(config.counts),), masking=plain, hidden=0.0, seed=99)
    stream = Stream(prepared, whole, vocabulary)
    return [next(stream) for _ in range(batches)]


def fullest_rows(lengths: Sequence[int], rows: int, length: int) -> list[list[int]]:
    """Rows as full as can be: each takes the first sample that waits, and those of the others
    that leave the least room (a subset sum, earlier samples first); none waits for ever."""
    waiting, plan = [i for i, needed in enumerate(lengths) if needed <= length], []
    for _ in range(rows):
        row = waiting[:1]
        if row:
            row += _filling([(i, lengths[i]) for i in waiting[1:]], length - lengths[row[0]])
        plan.append(row)
        waiting = [i for i in waiting if i not in row]
    return plan


def _filling(samples: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Which of these numbered lengths add up to the most that fits."""
    last = np.full(room + 1, -1)  # which sample was the last one to make up each sum
    sizes = {}
    reached = np.zeros(room + 1, dtype=bool)
    reached[0] = True
    for number, needed in samples:
        if needed > room:
            continue
        new = reached[: room + 1 - needed] & ~reached[needed:]
        last[needed:][new] = number
        reached[needed:] |= new
        sizes[number] = needed
        if reached[room]:
            break
    total, chosen = int(np.flatnonzero(reached)[-1]), list[int]()
    while total:
        chosen.append(int(last[total]))
        total -= sizes[chosen[-1]]
    return chosen[::-1]
