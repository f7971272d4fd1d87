"""CM3's causal masking: take spans out, say them after the end (arXiv 2201.07520 §2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np

from racm3.errors import ConfigError, DocumentError
from racm3.tokens.codec import Kind, Segment, flatten
from racm3.tokens.vocabulary import MASKS, Vocabulary

ATTEMPTS = 20


class Words(IntEnum):
    """What becomes of a document's words in training: they are masked as pictures are, they are
    only ever given to be read, or they alone are asked for, after everything else."""

    OPEN = 0
    GIVEN = 1
    ASKED = 2


class Span(NamedTuple):
    """Half-open, in the document's flat ids."""

    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How much is masked.

    Args:
        mean_spans: Mean of the Poisson number of spans; 0 switches masking off.
        rotation: Of the masked samples, the share that loses whole segments instead of spans.
        scope: What may be masked: the main document, or all that is read.
        described: The share of illustrated documents of which one whole text alone is masked, as
            whoever captions does; the rest of them is masked as above, which leaves a tenth of
            captioned pictures to be captioned.
    """

    mean_spans: float = 1.0
    rotation: float = 0.5
    scope: Literal["main", "all"] = "main"
    described: float = 0.0

    def __post_init__(self) -> None:
        if self.mean_spans < 0 or not 0 <= self.rotation <= 1 or not 0 <= self.described <= 1:
            raise ConfigError(
                "mean_spans is at least 0, rotation and described lie between 0 and 1"
            )


class Laid(NamedTuple):
    """A document as the generator reads it; `learn` is False where no loss is taken, `origin` is
    the place in the flat document that an id (or the span that a marker stands for) came from."""

    ids: list[int]
    learn: list[bool]
    origin: list[int]


def contents(segments: Sequence[Segment]) -> list[Span]:
    """Where each segment's own ids lie, its `<break>` left out."""
    spans, at = [], 0
    for segment in segments:
        spans.append(Span(at, at + len(segment.ids)))
        at += len(segment.ids) + 1
    return spans


def choose_spans(
    segments: Sequence[Segment],
    masking: Masking,
    rng: np.random.Generator,
    *,
    words: Words = Words.OPEN,
) -> list[Span]:
    """Which spans a training sample loses: sorted, disjoint, each inside one segment.

    Where words are only ever given, those in pictures alone; where they are asked for, the last
    text of an illustrated document.

    Raises:
        DocumentError: Words are asked for and there is no picture, or there are none.
    """
    if words is Words.ASKED:
        if not (texts := _captions(segments)):
            raise DocumentError("words are asked for where there is no picture with words")
        return texts[-1:]
    chosen = _any_spans(segments, masking, rng)
    if words is Words.OPEN:
        return chosen
    pictures = [
        span
        for segment, span in zip(segments, contents(segments), strict=True)
        if segment.kind is Kind.IMAGE
    ]
    return [span for span in chosen if any(_meet(span, picture) for picture in pictures)]


def _any_spans(
    segments: Sequence[Segment], masking: Masking, rng: np.random.Generator
) -> list[Span]:
    if masking.described and rng.random() < masking.described and (texts := _captions(segments)):
        return [texts[rng.integers(len(texts))]]
    wanted = min(int(rng.poisson(masking.mean_spans)), MASKS - 1)
    whole = [span for span in contents(segments) if span.stop > span.start]
    if not wanted or not whole:
        return []
    if rng.random() < masking.rotation:
        picks = rng.choice(len(whole), min(wanted, len(whole)), replace=False)
        return sorted(whole[pick] for pick in picks)
    length, chosen = whole[-1].stop, list[Span]()
    for _ in range(ATTEMPTS * wanted):
        if len(chosen) == wanted:
            break
        start, stop = sorted(rng.integers(0, length + 1, size=2).tolist())
        span = _clip(Span(start, stop), whole)
        if span.stop > span.start and not any(_meet(span, other) for other in chosen):
            chosen.append(span)
    return sorted(chosen)


def _captions(segments: Sequence[Segment]) -> list[Span]:
    """The texts of an illustrated document."""
    kinds = [segment.kind for segment in segments]
    if Kind.IMAGE not in kinds:
        return []
    return [
        span
        for kind, span in zip(kinds, contents(segments), strict=True)
        if kind is Kind.TEXT and span.stop > span.start
    ]


def _clip(span: Span, segments: Sequence[Span]) -> Span:
    """The part of the span that lies in the segment it overlaps most."""
    parts = [Span(max(span.start, s.start), min(span.stop, s.stop)) for s in segments]
    return max(parts, key=lambda part: part.stop - part.start)


def _meet(one: Span, other: Span) -> bool:
    return one.start < other.stop and other.start < one.stop


def lay(segments: Sequence[Segment], spans: Sequence[Span], vocabulary: Vocabulary) -> Laid:
    """Source with span i replaced by `<mask:i>`, `</s>`, then `<mask:i> span <eoss>` for each.

    No loss is taken on the mask markers inside the source (CM3 §2).
    """
    if len(spans) > MASKS:
        raise DocumentError(f"{len(spans)} spans are masked; at most {MASKS} can be told apart")
    flat = [*flatten(segments, vocabulary), vocabulary.end]
    marked = list(zip(spans, vocabulary.masks, strict=False))
    laid, at = Laid([], [], []), 0

    def say(ids: Sequence[int], origin: Sequence[int], *, learn: bool = True) -> None:
        laid.ids.extend(ids)
        laid.origin.extend(origin)
        laid.learn.extend([learn] * len(ids))

    for span, marker in marked:
        say(flat[at : span.start], range(at, span.start))
        say([marker], [span.start], learn=False)
        at = span.stop
    say(flat[at:], range(at, len(flat)))
    for span, marker in marked:
        say([marker], [span.start])
        say(flat[span.start : span.stop], range(*span))
        say([vocabulary.eoss], [span.start])
    return laid


def unlay(ids: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """The exact inverse of `lay`: the flat ids of the document with every span back in place."""
    end = list(ids).index(vocabulary.end)
    spans: dict[int, list[int]] = {}
    open_: list[int] | None = None
    for id_ in ids[end + 1 :]:
        if id_ in vocabulary.masks:
            open_ = spans.setdefault(id_, [])
        elif id_ == vocabulary.eoss:
            open_ = None
        elif open_ is None:
            raise DocumentError(f"id {id_} stands after </s> but in no masked span")
        else:
            open_.append(id_)
    whole: list[int] = []
    for id_ in ids[: end + 1]:
        if id_ in vocabulary.masks and id_ not in spans:
            raise DocumentError(f"the span of {vocabulary.names()[id_]} is missing after </s>")
        whole += spans.get(id_, [id_])
    return whole
