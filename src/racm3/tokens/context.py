"""What the generator reads: retrieved documents first, then the main one (RA-CM3 §3.3, Fig. 2)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64

from racm3.errors import ConfigError, DocumentError
from racm3.tokens.codec import Kind, Segment, Segments, flatten
from racm3.tokens.masking import Span, Words, lay
from racm3.tokens.placing import Placing
from racm3.tokens.vocabulary import Vocabulary

STRUCTURE, MAIN = -1, 0


class Context(NamedTuple):
    """One sample. `source` is 0 for the main document, k for the k-th retrieved one, -1 for the
    opening `</s>`; `learn` says how much predicting this id counts. `read` is what stands there to
    be read: the ids themselves, but for those that `half_hidden` hides."""

    ids: Int64[np.ndarray, " seq"]
    source: Int64[np.ndarray, " seq"]
    learn: Float32[np.ndarray, " seq"]
    read: Int64[np.ndarray, " seq"]


def preamble(retrieved: Sequence[Segments], vocabulary: Vocabulary) -> list[int]:
    """`</s>` and the retrieved documents (given best first), the best one next to what follows."""
    return [vocabulary.end] + [i for one in reversed(retrieved) for i in flatten(one, vocabulary)]


def context(
    retrieved: Sequence[Segments],
    main: Segments,
    vocabulary: Vocabulary,
    spans: Sequence[Span] = (),
    *,
    scope: Literal["main", "all"] = "main",
) -> Context:
    """`</s> (text <break> codes <break>) x K  main`, every id knowing where it came from.

    Spans are counted from the first id of the main document, or with scope `all` from that of the
    first document; what they take out is said at the end of the sample.
    """
    shown = [(number, retrieved[number - 1]) for number in range(len(retrieved), 0, -1)]
    masked = [*(shown if scope == "all" else []), (MAIN, main)]
    ids, source = [vocabulary.end], [STRUCTURE]
    if scope == "main":
        ids = preamble(retrieved, vocabulary)
        source += [number for number, one in shown for _ in range(size(one))]
    learn = [False] + [True] * (len(ids) - 1)
    laid = lay([segment for _, one in masked for segment in one], spans, vocabulary)
    owner = [number for number, one in masked for _ in range(size(one))] + [MAIN]
    whole = np.array([*ids, *laid.ids], dtype=np.int64)
    return Context(
        whole,
        np.array([*source, *(owner[at] for at in laid.origin)], dtype=np.int64),
        np.array([*learn, *laid.learn], dtype=np.float32),
        whole,
    )


def learning(one: Context, words: Words, vocabulary: Vocabulary, *, asked: float = 1.0) -> Context:
    """The same with what becomes of the main document's words: no loss on those that are given,
    they are not learnt to be said; on those that are asked for all of it, so that an answer of one
    word counts as much as the whole document would, `asked` times."""
    main = one.source == MAIN
    if words is Words.GIVEN:
        return one._replace(learn=one.learn * ~(main & (one.ids < vocabulary.text_size)))
    if words is Words.ASKED:
        said = np.zeros_like(one.learn)
        said[int(np.flatnonzero(one.ids == vocabulary.end)[-1]) + 2 :] = 1  # what follows its mask
        return one._replace(learn=said * (asked * one.learn[main].sum() / said.sum()))
    return one


def half_hidden(
    one: Context, share: float, vocabulary: Vocabulary, rng: np.random.Generator
) -> Context:
    """Word dropout (Bowman et al. 2016, arXiv 1511.06349 §3.1) in the text or picture said last.

    That share of its ids is said as ever and read as `<pad>`. Which document a picture is drawn
    from shows in its first ids, and what follows can be told from these; where they are hidden,
    the prompt has to say it for every id.
    """
    content = one.ids < vocabulary.image.stop
    if not content.any():
        return one
    stop = int(np.flatnonzero(content)[-1]) + 1
    start = int(np.flatnonzero(~content[:stop])[-1]) + 1
    read = one.ids.copy()
    read[start:stop][rng.random(stop - start) < share] = vocabulary.pad
    return one._replace(read=read)


def size(segments: Segments) -> int:
    return sum(len(segment.ids) + 1 for segment in segments)


def shorten(segments: Segments, room: int) -> Segments:
    """As many leading segments as fit `room`; a text may be cut, a picture never is."""
    kept: list[Segment] = []
    for segment in segments:
        left = room - size(tuple(kept)) - 1
        if len(segment.ids) <= left:
            kept.append(segment)
        elif segment.kind is Kind.TEXT and left > 0:
            kept.append(Segment(Kind.TEXT, segment.ids[:left]))
            break
        else:
            break
    if not kept:
        raise DocumentError(
            f"a document's first segment needs {len(segments[0].ids) + 1} ids but only {room} fit; "
            "use a longer context or a coarser image tokenizer"
        )
    return tuple(kept)


def fitting(retrieved: Sequence[Segments], main_length: int, room: int) -> list[Segments]:
    """The retrieved documents that fit beside the main one, the least relevant given up first."""
    kept = list(retrieved)
    while kept and 1 + sum(map(size, kept)) + main_length > room:
        kept.pop()
    return kept


class Packed(NamedTuple):
    """Rows of several samples. `sample` numbers them within the row, -1 is padding; `position`
    starts again with every sample; the first id of a sample is never a target. What is predicted
    are `ids`, what is read is `read`."""

    ids: Int64[np.ndarray, "rows seq"]
    source: Int64[np.ndarray, "rows seq"]
    learn: Float32[np.ndarray, "rows seq"]
    sample: Int32[np.ndarray, "rows seq"]
    position: Int64[np.ndarray, "rows seq"]
    read: Int64[np.ndarray, "rows seq"]


def pack(samples: Sequence[Sequence[Context]], length: int, placing: Placing) -> Packed:
    """Lay the samples of each row one after the other and pad the rest."""
    shape = (len(samples), length)
    ids = np.full(shape, placing.vocabulary.pad, dtype=np.int64)
    source = np.full(shape, STRUCTURE, dtype=np.int64)
    learn = np.zeros(shape, dtype=np.float32)
    sample = np.full(shape, -1, dtype=np.int32)
    position = np.zeros(shape, dtype=np.int64)
    read = ids.copy()
    for row, members in enumerate(samples):
        at = 0
        for number, one in enumerate(members):
            stop = at + len(one.ids)
            if stop > length:
                raise ConfigError(f"{stop} ids were packed into a row of {length}")
            ids[row, at:stop], source[row, at:stop] = one.ids, one.source
            learn[row, at:stop], sample[row, at:stop] = one.learn, number
            position[row, at:stop] = placing.positions(one.ids.tolist())
            read[row, at:stop] = one.read
            at = stop
    return Packed(ids, source, learn, sample, position, read)
