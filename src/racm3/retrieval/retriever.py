"""From a query to neighbours: one deciding function for training, preparing and generating."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from racm3.document import Document, Image, Text
from racm3.errors import ConfigError, DocumentError
from racm3.retrieval.encoder import Dropout, Encoder, embed
from racm3.retrieval.index import ExactIndex, Hits
from racm3.retrieval.lexical import BM25
from racm3.retrieval.selection import select

Side = Literal["text", "image", "both"]


@dataclass(frozen=True, kw_only=True)
class RetrieverConfig:
    """What counts as a good neighbour (RA-CM3 §3.2 and the ablations of Table 5).

    Args:
        strategy: clip (default), bm25 (words only) or random.
        too_similar: Redundancy threshold; None is plain top-K.
        modality: What a neighbour brings: the whole document, its text or its image.
        two_sided: CM3Leon's variant: half of the neighbours by the picture, half by the text.
        candidates: How many the index is asked for before the walk.
        query_dropout: Share of query tokens or patches forgotten in training.
        query: Which side of a document asks in training: `either` draws one, never both.
    """

    strategy: Literal["clip", "bm25", "random"] = "clip"
    too_similar: float | None = 0.9
    modality: Literal["document", "text", "image"] = "document"
    two_sided: bool = False
    candidates: int = 64
    query_dropout: float = 0.2
    query: Literal["either", "text", "image"] = "either"

    def __post_init__(self) -> None:
        if not 0 <= self.query_dropout < 1:
            raise ConfigError(f"query_dropout {self.query_dropout} does not lie in [0, 1)")
        if self.candidates < 1:
            raise ConfigError("candidates must be at least 1")


class Table(NamedTuple):
    """What searching needs of a memory, in one order."""

    ids: Int64[np.ndarray, " docs"]
    groups: list[str]
    vectors: Float32[np.ndarray, "docs dim"]


@runtime_checkable
class Shelf(Protocol):
    """Where documents are kept: LanceDB in `memory.py`, or plain lists (`ListShelf`)."""

    @property
    def snapshot_name(self) -> str: ...

    def table(self, where: str | None = None) -> Table: ...

    def documents(self, ids: Sequence[int]) -> list[Document]: ...


class ListShelf:
    """A few documents in a list, each its own group unless said otherwise."""

    def __init__(
        self,
        documents: Sequence[Document],
        vectors: Float32[np.ndarray, "docs dim"],
        groups: Sequence[str] | None = None,
    ) -> None:
        ids = np.arange(len(documents), dtype=np.int64)
        self._documents = list(documents)
        self._table = Table(ids, list(groups or map(str, ids)), vectors)

    @property
    def snapshot_name(self) -> str:
        return f"{len(self._documents)} documents in a list"

    def table(self, where: str | None = None) -> Table:
        if where is not None:
            raise ConfigError("a list of documents has no metadata to filter by")
        return self._table

    def documents(self, ids: Sequence[int]) -> list[Document]:
        return [self._documents[i] for i in ids]


class Neighbour(NamedTuple):
    id: int
    score: float


class Retriever:
    def __init__(
        self,
        encoder: Encoder,
        shelf: Shelf,
        config: RetrieverConfig | None = None,
        *,
        where: str | None = None,
    ) -> None:
        self.encoder, self.shelf, self.where = encoder, shelf, where
        self.config = config or RetrieverConfig()

    @cached_property
    def table(self) -> Table:
        return self.shelf.table(self.where)

    @cached_property
    def index(self) -> ExactIndex:
        rows = np.arange(len(self.table.ids), dtype=np.int64)
        return ExactIndex.of(rows, self.table.vectors)

    @cached_property
    def lexical(self) -> BM25:
        return BM25([d.text for d in self.shelf.documents(self.table.ids.tolist())])

    def neighbours(
        self,
        queries: Sequence[Document],
        count: int,
        *,
        rng: np.random.Generator,
        training: bool = False,
        exclude: Sequence[frozenset[str]] | None = None,
    ) -> list[list[Neighbour]]:
        """The neighbours of each query, best first; `count` or as many as the memory has.

        A training query is one side of its document, never both (`one_side`), with dropout.
        """
        hits = self._candidates(queries, rng, training)
        table, found = self.table, []
        for row, (rows, scores) in enumerate(zip(hits.ids, hits.scores, strict=True)):
            rows, scores = rows[rows >= 0], scores[rows >= 0]
            kept = select(
                scores,
                table.vectors[rows],
                [table.groups[r] for r in rows],
                count=count,
                too_similar=self.config.too_similar if self.config.strategy == "clip" else None,
                exclude=exclude[row] if exclude else frozenset(),
            )
            found.append([Neighbour(int(table.ids[rows[k]]), float(scores[k])) for k in kept])
        return found

    def _candidates(
        self, queries: Sequence[Document], rng: np.random.Generator, training: bool
    ) -> Hits:
        total = len(self.table.ids)
        count = min(self.config.candidates, total)
        rate = self.config.query_dropout if training else 0.0
        dropout = Dropout(rate, rng) if rate else None
        if self.config.strategy == "random":
            ids = np.stack([rng.permutation(total)[:count] for _ in queries]).astype(np.int64)
            return Hits(ids, np.zeros(ids.shape, dtype=np.float32))
        if self.config.strategy == "bm25":
            scores = np.stack([self.lexical.scores(_words(query, dropout)) for query in queries])
            ids = np.argsort(-scores, axis=1, kind="stable")[:, :count]
            return Hits(ids, np.take_along_axis(scores, ids, axis=1))
        return self.index.search(embed(self.encoder, queries, dropout=dropout), count)

    def fetch(self, neighbours: Sequence[Neighbour]) -> list[Document]:
        """The neighbours' documents, as much of them as the modality lets through."""
        documents = self.shelf.documents([neighbour.id for neighbour in neighbours])
        kind = {"document": None, "text": Text, "image": Image}[self.config.modality]
        return [document.only(kind) if kind else document for document in documents]


def _words(query: Document, dropout: Dropout | None) -> str:
    if not query.text.strip():
        raise DocumentError("BM25 searches by words, but the query has no text")
    words = query.text.split()
    return " ".join(words[i] for i in dropout.keep(len(words))) if dropout else query.text


def one_side(document: Document, rng: np.random.Generator) -> Document:
    """A training query: the text or the picture of a document, never both (§3.2)."""
    sides = [document.only(kind) for kind in (Text, Image)]
    usable = [side for side in sides if side.parts]
    return usable[rng.integers(len(usable))]


def ask(document: Document, side: Side) -> Document:
    """The side of a document that a query by `side` uses."""
    if side == "both":
        return document
    query = document.only(Text if side == "text" else Image)
    if not query.parts:
        raise DocumentError(f"the document has no {side} to query by")
    return query


def two_sided(
    retriever: Retriever,
    document: Document,
    *,
    each: int,
    rng: np.random.Generator,
    training: bool = False,
    exclude: frozenset[str] = frozenset(),
) -> list[Neighbour]:
    """CM3Leon's variant (§2.1): `each` neighbours by the picture and as many by the text."""
    found: dict[int, Neighbour] = {}
    for side in ("image", "text"):
        query = ask(document, side)  # type: ignore[arg-type]
        more = retriever.neighbours(
            [query], 2 * each, rng=rng, training=training, exclude=[exclude]
        )[0]
        fresh = [neighbour for neighbour in more if neighbour.id not in found]
        found |= {neighbour.id: neighbour for neighbour in fresh[:each]}
    return list(found.values())
