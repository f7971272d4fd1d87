"""Documents made ready for training once, offline: ids, and neighbours by several dropout draws."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Int64, UInt8

from racm3.document import Document
from racm3.errors import CheckpointError, ConfigError, Racm3Error
from racm3.retrieval.query import ask, one_side
from racm3.retrieval.retriever import Neighbour, Retriever, two_sided
from racm3.retrieval.shelf import Shelf
from racm3.runtime import dice, folder_written_whole, load_json, progress, save_json
from racm3.tokens.codec import Codec, Kind, Segment, Segments
from racm3.tokens.masking import Words

# Documents that are read at once and that are looked up at once, and the shorter side of a picture
# that is more than enough: a collection of photographs need not fit into RAM.
READ, AT_ONCE, LARGE = 32, 256, 1024
WORDS = "words.npy"  # only where somebody's are given or asked for


class TokenTable:
    """Many documents' segments in four flat arrays that can stay on disk (memory-mapped)."""

    ARRAYS = ("ids", "segment_stops", "segment_kinds", "document_stops")

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["document_stops"])

    def __getitem__(self, row: int) -> Segments:
        arrays = self.arrays
        first = int(arrays["document_stops"][row - 1]) if row else 0
        segments = []
        for segment in range(first, int(arrays["document_stops"][row])):
            start = int(arrays["segment_stops"][segment - 1]) if segment else 0
            ids = arrays["ids"][start : int(arrays["segment_stops"][segment])]
            segments.append(
                Segment(Kind(int(arrays["segment_kinds"][segment])), tuple(ids.tolist()))
            )
        return tuple(segments)

    @classmethod
    def of(cls, documents: Sequence[Segments]) -> "TokenTable":
        flat = [segment for document in documents for segment in document]
        ids = [id_ for segment in flat for id_ in segment.ids]
        return cls({
            "ids": np.array(ids, dtype=np.int32),
            "segment_stops": np.cumsum([len(s.ids) for s in flat], dtype=np.int64),
            "segment_kinds": np.array([s.kind for s in flat], dtype=np.uint8),
            "document_stops": np.cumsum([len(d) for d in documents], dtype=np.int64),
        })  # fmt: skip

    def __add__(self, other: "TokenTable") -> "TokenTable":
        """The documents of both, in order."""
        ids, stops = len(self.arrays["ids"]), len(self.arrays["segment_stops"])
        behind = {"segment_stops": ids, "document_stops": stops}
        return TokenTable({
            name: np.concatenate([self.arrays[name], other.arrays[name] + behind.get(name, 0)])
            for name in self.ARRAYS
        })  # fmt: skip

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.ARRAYS:
            np.save(folder / f"{name}.npy", self.arrays[name], allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> "TokenTable":
        return cls({name: _mapped(folder / f"{name}.npy") for name in cls.ARRAYS})


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); run `racm3 prepare` again"
        ) from error


class Prepared:
    """A folder of training material: documents, the memory beside them, who neighbours whom, and
    what becomes of each document's words (`Words`); left out, all are open."""

    def __init__(
        self,
        documents: TokenTable,
        memory: TokenTable,
        neighbours: Int64[np.ndarray, "docs draws depth"],
        about: dict[str, Any],
        words: UInt8[np.ndarray, " docs"] | None = None,
    ) -> None:
        if len(neighbours) != len(documents):
            raise ConfigError(
                f"{len(documents)} documents came with neighbours for {len(neighbours)}; "
                "prepare them together"
            )
        self.documents, self.memory, self.neighbours = documents, memory, neighbours
        self.about = about
        self.words = np.zeros(len(documents), dtype=np.uint8) if words is None else words

    def __add__(self, other: "Prepared") -> "Prepared":
        """The documents of both, each with its own memory's neighbours."""
        theirs = np.where(other.neighbours < 0, -1, other.neighbours + len(self.memory))
        both = self.neighbours, theirs
        depth = max(some.shape[2] for some in both)
        deep = [
            np.pad(one, ((0, 0), (0, 0), (0, depth - one.shape[2])), constant_values=-1)
            for one in both
        ]
        return Prepared(
            self.documents + other.documents,
            self.memory + other.memory,
            np.concatenate(deep),
            self.about,
            np.concatenate([self.words, other.words]),
        )

    def save(self, folder: str | Path) -> None:
        with folder_written_whole(Path(folder)) as temporary:
            self.documents.save(temporary / "documents")
            self.memory.save(temporary / "memory")
            np.save(temporary / "neighbours.npy", self.neighbours, allow_pickle=False)
            if self.words.any():
                np.save(temporary / WORDS, self.words, allow_pickle=False)
            save_json(temporary / "about.json", self.about)

    def without(self, ids: set[int]) -> "Prepared":
        """The same material after documents of its memory were removed, read into RAM.

        They vanish from the tables and from everybody's neighbours.
        """
        rows = {row for row, id_ in enumerate(self.about["ids"]) if id_ in ids}
        keep = [row for row in range(len(self.memory)) if row not in rows]
        new = np.full(len(self.memory) + 1, -1, dtype=np.int64)  # the last stands for "none"
        new[keep] = np.arange(len(keep))
        about = {**self.about, "ids": [self.about["ids"][row] for row in keep]}
        mine = list(keep if self.about["of_memory"] else range(len(self.documents)))
        documents = TokenTable.of([self.documents[row] for row in mine])
        memory = TokenTable.of([self.memory[row] for row in keep])
        return Prepared(documents, memory, new[self.neighbours[mine]], about, self.words[mine])

    @classmethod
    def open(cls, folder: str | Path) -> "Prepared":
        folder = Path(folder)
        words = folder / WORDS
        if (folder / "given.npy").exists():
            raise CheckpointError(f"{folder} was prepared by an older racm3; prepare it again")
        return cls(
            TokenTable.open(folder / "documents"),
            TokenTable.open(folder / "memory"),
            _mapped(folder / "neighbours.npy"),
            load_json(folder / "about.json"),
            _mapped(words) if words.exists() else None,
        )


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
