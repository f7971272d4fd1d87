"""What each task asks of the generator: prompts, legal continuations, and answers read back."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool

from racm3.errors import GenerationError
from racm3.generation.constraints import Grammar, Interleaved, OneGrid, Spans, SpanText
from racm3.tokens.codec import Kind, Segment, Segments, flatten
from racm3.tokens.context import preamble
from racm3.tokens.masking import Span, contents, lay
from racm3.tokens.vocabulary import MASKS, Vocabulary

# Documents of one pass: of any number of them (RA-CM3 §A), and where each is of another thing.
AT_ONCE, EACH = 2, 4
Read = TypeVar("Read")


class Task(NamedTuple):
    """The main document's part of each stream, what may follow it, and for an infilled picture
    where in the grid that belongs."""

    conditional: list[int]
    unconditional: list[int]
    image_only: list[int]
    grammar: Grammar
    longest: int
    masked: Bool[np.ndarray, "rows columns"] | None = None

    def begun(self, ids: Sequence[int]) -> "Task":
        """The same after the answer has begun with these."""
        one, other, third = (
            [*stream, *ids] for stream in (self.conditional, self.unconditional, self.image_only)
        )
        return self._replace(conditional=one, unconditional=other, image_only=third)


def passes(documents: Sequence[Read], *, at_once: int = AT_ONCE) -> list[list[Read]]:
    """Groups of a few documents, or of what is known of each; more than one group is an ensemble
    (RA-CM3 §A)."""
    groups = [list(documents[i : i + at_once]) for i in range(0, len(documents), at_once)]
    return groups or [[]]


def streams(
    task: Task,
    groups: Sequence[Sequence[Segments]],
    vocabulary: Vocabulary,
    *,
    count: int,
    keep_documents: bool,
    leave_out: bool = False,
    leave_all: bool = False,
) -> list[list[int]]:
    """Every pass's prompts: conditional, then what guidance wants beside it, then, to weigh the
    documents, the conditional one without each of them, and without all."""
    found = list[list[int]]()
    for group in groups:
        read = preamble(group, vocabulary)
        vague = read if keep_documents else [vocabulary.end]
        if count == 3:
            found += [read + task.conditional, read + task.image_only, vague + task.unconditional]
        elif count == 2:
            found += [read + task.conditional, vague + task.unconditional]
        else:
            found.append(read + task.conditional)
        for number in range(len(group) if leave_out else 0):
            rest = [one for at, one in enumerate(group) if at != number]
            found.append(preamble(rest, vocabulary) + task.conditional)
        if leave_all:
            found.append(preamble([], vocabulary) + task.conditional)
    return found


def draw_task(text: Segment | None, cells: int, vocabulary: Vocabulary) -> Task:
    """Text to picture: `text <break>`, then exactly one grid; without a text the grid alone."""
    masked = [vocabulary.masks[0], vocabulary.break_]
    written = [*text.ids, vocabulary.break_] if text else []
    return Task(written, masked, masked, OneGrid(vocabulary, cells), cells)


def caption_task(picture: Segment, vocabulary: Vocabulary, *, longest: int) -> Task:
    """Picture to text: `<mask:0> <break> codes <break> </s> <mask:0>`, then text to `<eoss>`."""
    mask, close = vocabulary.masks[0], vocabulary.break_
    written = [mask, close, *picture.ids, close, vocabulary.end, mask]
    blank = [mask, close, vocabulary.end, mask]
    return Task(written, blank, blank, SpanText(vocabulary, longest), longest + 1)


def text_task(vocabulary: Vocabulary, *, longest: int) -> Task:
    """Text at the beginning of a document, up to `<break>`."""
    grammar = SpanText(vocabulary, longest, end=vocabulary.break_)
    return Task([], [], [], grammar, longest + 1)


def text_infill_task(segments: Segments, at: int, vocabulary: Vocabulary, *, longest: int) -> Task:
    """A gap in the first text of a document, `at` ids from its beginning."""
    laid = lay(segments, [Span(at, at)], vocabulary).ids[:-1]
    blank = [vocabulary.masks[0], vocabulary.break_, vocabulary.end, vocabulary.masks[0]]
    return Task(laid, blank, blank, SpanText(vocabulary, longest), longest + 1)


def runs(mask: Bool[np.ndarray, "rows columns"]) -> list[Span]:
    """The masked cells as spans in reading order."""
    flat = np.concatenate([[False], mask.ravel(), [False]]).astype(np.int8)
    starts, stops = (np.flatnonzero(np.diff(flat) == sign) for sign in (1, -1))
    return [Span(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def gaps(mask: Bool[np.ndarray, "rows columns"]) -> list[Span]:
    """The spans that an infilled picture is asked in: runs of masked cells, those with less than a
    row of others between them as one.

    So a box is one span. In training a picture hardly ever loses more than two, and a box of a span
    for every row is redrawn wrong (docs/log.md). Where there are more spans than markers, the
    nearest are one, too.
    """
    found = runs(mask)
    while len(found) > 1:
        apart = [after.start - before.stop for before, after in pairwise(found)]
        nearest = int(np.argmin(apart))
        if apart[nearest] >= mask.shape[1] and len(found) < MASKS:
            break
        found[nearest : nearest + 2] = [Span(found[nearest].start, found[nearest + 1].stop)]
    return found


def picture_infill_task(
    text: Segment | None,
    picture: Segment,
    mask: Bool[np.ndarray, "rows columns"],
    vocabulary: Vocabulary,
) -> Task:
    """Masked cells of a picture, in spans; the rest is read, not redrawn, and what a span holds
    beside them is told when it is reached."""
    _require_masked(mask)
    cells, redrawn = gaps(mask), mask.ravel()
    segments = (text, picture) if text else (picture,)
    offset = contents(segments)[-1].start
    spans = [Span(offset + a, offset + b) for a, b in cells]
    written = _up_to_first_span(segments, spans, vocabulary)
    # Without the text: its place is taken by a marker that no picture span uses.
    hidden = (Segment(Kind.TEXT, (vocabulary.masks[len(cells)],)), picture)
    vague = _up_to_first_span(hidden, [Span(2 + a, 2 + b) for a, b in cells], vocabulary)
    nothing = (hidden[0], Segment(Kind.IMAGE, ()))
    blank = [*flatten(nothing, vocabulary), vocabulary.end, vocabulary.masks[0]]
    told = [[None if redrawn[i] else picture.ids[i] for i in range(a, b)] for a, b in cells]
    grammar = Spans(vocabulary, told)
    without_text = blank if text is None else vague
    return Task(written, without_text, vague, grammar, len(grammar.plan))


def redraw_task(
    text: Segment | None,
    picture: Segment,
    mask: Bool[np.ndarray, "rows columns"],
    vocabulary: Vocabulary,
) -> Task:
    """A picture drawn on from its first masked cell as if all before had just been drawn; what is
    known after that is told when it is reached, up to the end of the grid."""
    _require_masked(mask)
    redrawn = mask.ravel()
    start = int(redrawn.argmax())
    told = [None if redrawn[i] else picture.ids[i] for i in range(start, len(picture.ids))]
    whole = draw_task(text, len(picture.ids), vocabulary)._replace(
        grammar=Spans(vocabulary, [told]), longest=len(told), masked=mask
    )
    return whole.begun(picture.ids[:start])


def _require_masked(mask: Bool[np.ndarray, "rows columns"]) -> None:
    if not mask.any():
        raise GenerationError("the mask is empty: mark at least one cell of the picture")


def _up_to_first_span(
    segments: Segments, spans: Sequence[Span], vocabulary: Vocabulary
) -> list[int]:
    ids = lay(segments, spans, vocabulary).ids
    end = ids.index(vocabulary.end)
    return ids[: end + 2]


def fill(
    picture: Segment, mask: Bool[np.ndarray, "rows columns"], spans: list[list[int]]
) -> Segment:
    """The picture with its masked cells replaced by what was generated; the rest untouched."""
    ids = list(picture.ids)
    for (start, stop), codes in zip(gaps(mask), spans, strict=True):
        if stop - start != len(codes):
            raise GenerationError(f"{len(codes)} codes do not fill a gap of {stop - start}")
        ids[start:stop] = codes
    return Segment(Kind.IMAGE, tuple(ids))


def complete_task(
    segments: Segments, cells: int, vocabulary: Vocabulary, *, more: int, longest: int
) -> Task:
    """An interleaved document goes on for at most `more` segments."""
    written = flatten(segments, vocabulary)
    grammar = Interleaved(vocabulary, cells, segments=more, longest=longest)
    masked = [vocabulary.masks[0], vocabulary.break_]
    room = more * (max(cells, longest) + 1) + 1
    return Task(written, masked, masked, grammar, room)
