"""Documents made ready for training once, offline: ids, and neighbours by several dropout draws."""

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
from jaxtyping import Int64

from racm3.data.prepared import Prepared, TokenTable
from racm3.document import Document
from racm3.errors import Racm3Error
from racm3.retrieval.query import ask, one_side
from racm3.retrieval.retriever import Neighbour, Retriever, two_sided
from racm3.retrieval.shelf import Shelf
from racm3.runtime import dice, progress
from racm3.tokens.codec import Codec, Segments
from racm3.tokens.masking import Words

# Documents that are read at once and that are looked up at once, and the shorter side of a picture
# that is more than enough: a collection of photographs need not fit into RAM.
READ, AT_ONCE, LARGE = 32, 256, 1024


class Remembered(Sequence[Document]):
    """A shelf's documents, read when asked for: a few at a time, large pictures reduced."""

    def __init__(self, shelf: Shelf, ids: Sequence[int]) -> None:
        self.shelf, self.ids = shelf, ids

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Document: ...

    @overload
    def __getitem__(self, at: slice) -> list[Document]: ...

    def __getitem__(self, at: int | slice) -> Document | list[Document]:
        if isinstance(at, int):
            return self[at : at + 1][0] if at >= 0 else self[at + len(self)]
        ids = self.ids[at]
        few = (self.shelf.documents(ids[i : i + READ]) for i in range(0, len(ids), READ))
        return [one.reduced(LARGE) for some in few for one in some]


Reader = Callable[[int, int], Sequence[Document]]


def encode_all(codec: Codec, read: Reader, total: int, *, label: str) -> TokenTable:
    """Documents `read(start, stop)` as ids, a batch at a time."""
    starts = range(0, total, READ)
    encoded: list[Segments] = []
    for start in progress(starts, label=label, total=len(starts)):
        encoded += codec.encode(read(start, min(start + READ, total)))
    return TokenTable.of(encoded)


def find_neighbours(
    retriever: Retriever,
    documents: Sequence[Document],
    groups: Sequence[frozenset[str]],
    *,
    draws: int,
    depth: int,
    seed: int,
) -> Int64[np.ndarray, "docs draws depth"]:
    """Rows of the memory nearest to each document, `draws` times with new query dropout.

    A query is one side of the document, chosen anew at every draw; -1 where fewer were found.
    """
    row_of = {int(id_): row for row, id_ in enumerate(retriever.ids)}
    found = np.full((len(documents), draws, depth), -1, dtype=np.int64)
    starts = range(0, len(documents), AT_ONCE)
    for start in progress(starts, label="neighbours", total=len(starts)):
        some, theirs = documents[start : start + AT_ONCE], groups[start : start + AT_ONCE]
        for draw in range(draws):
            lists = neighbours_of(retriever, some, theirs, depth, dice(seed, draw, start))
            for offset, neighbours in enumerate(lists):
                rows = [row_of[neighbour.id] for neighbour in neighbours]
                found[start + offset, draw, : len(rows)] = rows
    return found


def neighbours_of(
    retriever: Retriever,
    documents: Sequence[Document],
    groups: Sequence[frozenset[str]],
    depth: int,
    rng: np.random.Generator,
) -> list[list[Neighbour]]:
    """By one side of each document, or by both in turn for CM3Leon's variant."""
    if retriever.config.two_sided:
        return [
            two_sided(
                retriever, document, each=-(-depth // 2), rng=rng, training=True, exclude=group
            )[:depth]
            for document, group in zip(documents, groups, strict=True)
        ]
    side = retriever.config.query
    queries = [one_side(d, rng) if side == "either" else ask(d, side) for d in documents]
    return retriever.neighbours(queries, depth, rng=rng, training=True, exclude=groups)


def prepare(
    codec: Codec,
    documents: Sequence[Document],
    retriever: Retriever,
    *,
    groups: Sequence[frozenset[str]] | None = None,
    draws: int = 2,
    depth: int = 2,
    seed: int = 0,
    neighbours: Int64[np.ndarray, "docs draws depth"] | None = None,
    words: Words = Words.OPEN,
    encoded: TokenTable | None = None,
) -> Prepared:
    """Encode documents and memory and look up everyone's neighbours (RA-CM3 §3.2, offline).

    Where `neighbours` are there, as rows of the retriever's memory, nothing is looked up.
    `words` says what becomes of these documents' words. `encoded` is the retriever's memory as ids,
    where that is known.

    Raises:
        Racm3Error: There is no document, or `neighbours` are not those of these documents.
    """
    if not documents:
        raise Racm3Error("there is nothing to prepare: no document was given")
    if neighbours is not None and neighbours.shape != (expected := (len(documents), draws, depth)):
        raise Racm3Error(
            f"the neighbours have shape {neighbours.shape}, but {len(documents)} documents with "
            f"{draws} draws of {depth} need {expected}"
        )
    if neighbours is None:
        own = groups or [frozenset[str]()] * len(documents)
        neighbours = find_neighbours(retriever, documents, own, draws=draws, depth=depth, seed=seed)
    about = {
        "encoder": retriever.encoder.name,
        "strategy": retriever.config.strategy,
        "modality": retriever.config.modality,
        "seed": seed,
        "text_size": codec.vocabulary.text_size,
        "codebook_size": codec.vocabulary.codebook_size,
        "cells": len(codec.image.grid),
    }
    table = encode_all(codec, lambda a, b: documents[a:b], len(documents), label="documents")
    ids = retriever.ids.tolist()
    memory = table if _of_the_memory(documents, retriever) else encoded
    if memory is None:
        memory = encode_all(codec, lambda a, b: retriever.read(ids[a:b]), len(ids), label="memory")
    return Prepared(
        table, memory, neighbours, about, np.full(len(documents), words, dtype=np.uint8)
    )


def _of_the_memory(documents: Sequence[Document], retriever: Retriever) -> bool:
    """Whether they are the memory itself, as it is shown, which need not be encoded twice."""
    return (
        isinstance(documents, Remembered)
        and documents.shelf is retriever.shelf
        and documents.ids == retriever.ids.tolist()
        and retriever.config.modality == "document"
    )
