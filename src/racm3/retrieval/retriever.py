"""From a query to neighbours: one deciding function for training, preparing and generating."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from racm3.document import Document, Image, Text
from racm3.errors import ConfigError
from racm3.retrieval.embedding import Apart, Dropout, Encoder, embed, embed_queries
from racm3.retrieval.fusion import fused, taking_turns
from racm3.retrieval.index import Block, ExactIndex, Hits, Index
from racm3.retrieval.lexical import BM25, Fields, Words
from racm3.retrieval.query import ask, clauses, without, words_of
from racm3.retrieval.selection import select
from racm3.retrieval.shelf import Indexed, Shelf, Table, joined


@dataclass(frozen=True, kw_only=True)
class RetrieverConfig:
    """What counts as a good neighbour (RA-CM3 §3.2 and the ablations of Table 5).

    Args:
        strategy: clip (default), bm25 (words only), hybrid (both: names that no CLIP has met are
            found, too) or random.
        too_similar: Redundancy threshold; None is plain top-K.
        modality: What a neighbour brings: the whole document, its text or its image.
        two_sided: CM3Leon's variant: half of the neighbours by the picture, half by the text.
        candidates: How many the index is asked for before the walk.
        query_dropout: Share of query tokens or patches forgotten in training.
        query: Which side of a document asks in training: `either` draws one, never both.
        clauses: A regular expression that splits a query's text; every clause asks for itself and
            their neighbours take turns. "" asks with the whole text.
        unasked: A regular expression of what a query says that no document is to be found by: how
            something is to look, say, and not what it is. "" asks with all words.
        stems: Words are compared by their English stems, so that `dogs` find `a dog`; an index made
            by `racm3 memory index` compares as it was made.
        phrases: Words are also compared two by two, so that `hourglass not done` is not `hourglass
            done`. That helps with names; among free captions less is found (docs/log.md). An index
            made by `racm3 memory index` knows single words alone.
        columns: Metadata whose words find documents, too: a catalogue's keywords, say. Only the
            search sees them; a memory that has no such column is searched by its texts alone.
        resident_gb: Vectors of a memory up to this size stay in RAM between searches; those of a
            larger one are read from disk, block by block, for every batch of queries.
        search: exact looks at every document, indexed asks what `racm3 memory index` made.
        probes: Partitions of the index that are looked into: more find more, and take longer.
        refine: So many times the candidates are scored exactly before the best are kept.
    """

    strategy: Literal["clip", "bm25", "hybrid", "random"] = "clip"
    too_similar: float | None = 0.9
    modality: Literal["document", "text", "image"] = "document"
    two_sided: bool = False
    candidates: int = 64
    query_dropout: float = 0.2
    query: Literal["either", "text", "image"] = "either"
    clauses: str = ""
    unasked: str = ""
    stems: bool = True
    phrases: bool = False
    columns: tuple[str, ...] = ()
    resident_gb: float = 4.0
    search: Literal["exact", "indexed"] = "exact"
    probes: int = 32
    refine: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.query_dropout < 1:
            raise ConfigError(f"query_dropout {self.query_dropout} does not lie in [0, 1)")
        if min(self.candidates, self.probes, self.refine) < 1:
            raise ConfigError("candidates, probes and refine must be at least 1")
        if self.columns and self.search == "indexed":
            raise ConfigError(
                "an index knows the words of texts alone; leave `columns` out, or search exactly"
            )
        for name, pattern in (("clauses", self.clauses), ("unasked", self.unasked)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"{name} {pattern!r} is no regular expression: {error}"
                ) from error


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
    def resident(self) -> Table | None:
        """The whole table if its vectors fit into RAM as configured, else None."""
        if self.config.search == "indexed":
            return None
        blocks, size = list[Table](), 0
        for block in self.shelf.blocks(self.where):
            blocks.append(block)
            size += block.vectors.nbytes
            if size > self.config.resident_gb * 2**30:
                return None
        return joined(blocks, self.encoder.dim)

    def blocks(self) -> Iterator[Table]:
        """What is searched, block by block: from RAM, or from the shelf."""
        yield from self.shelf.blocks(self.where) if self.resident is None else [self.resident]

    @cached_property
    def ids(self) -> Int64[np.ndarray, " docs"]:
        """The ids of everything that can be found, ascending."""
        return self.shelf.ids(self.where) if self.resident is None else self.resident.ids

    def rows(self, ids: Int64[np.ndarray, " some"]) -> Table:
        """The table's rows of these ids, by ascending id."""
        ids = np.unique(ids)
        if self.resident is not None:
            return self.resident.take(np.searchsorted(self.resident.ids, ids))
        return joined([self.shelf.rows(ids.tolist())], self.encoder.dim)

    @property
    def empty(self) -> bool:
        return not any(len(block.ids) for block in self.blocks())

    @cached_property
    def index(self) -> Index:
        if self.config.search == "indexed":
            how = {"probes": self.config.probes, "refine": self.config.refine}
            return self._indexed.vector_index(self.where, **how)
        return ExactIndex(lambda: (Block(block.ids, block.vectors) for block in self.blocks()))

    @cached_property
    def lexical(self) -> Words:
        if self.config.search == "indexed":
            return self._indexed.word_index(self.where)
        stems, paired, said = self.config.stems, self.config.phrases, self._said("text")
        fields = [BM25(said, self.ids, stems=stems, paired=paired)]
        for column in self.config.columns:
            texts = self._said(column)
            fields.append(BM25(texts, self.ids, beside=said, stems=stems, paired=paired))
        return Fields(fields)

    def _said(self, column: str) -> list[str]:
        found = self.shelf.texts(self.where, column)
        return [found.get(id_, "") for id_ in self.ids.tolist()]

    @property
    def _indexed(self) -> Indexed:
        if not isinstance(self.shelf, Indexed):
            raise ConfigError(
                f"{self.shelf.snapshot_name} has no index; leave `search: indexed` out, or build a "
                "memory on disk"
            )
        return self.shelf

    def neighbours(
        self,
        queries: Sequence[Document],
        count: int,
        *,
        rng: np.random.Generator,
        training: bool = False,
        exclude: Sequence[frozenset[str]] | None = None,
        near_copies: bool = False,
    ) -> list[list[Neighbour]]:
        """The neighbours of each query, best first; `count` or as many as the memory has.

        A training query is one side of its document, never both (`one_side`), with dropout. What
        is `too_similar` is kept where `near_copies` are looked for.
        """
        hits = self._candidates(queries, rng, training)
        # A walk looks at few candidates: where all vectors are at hand, none is copied.
        table, found = self.resident or self.rows(hits.ids[hits.ids >= 0]), []
        by_vectors = self.config.strategy in ("clip", "hybrid") and not near_copies
        for row, (ids, scores) in enumerate(zip(hits.ids, hits.scores, strict=True)):
            ids, scores = ids[ids >= 0], scores[ids >= 0]
            kept = select(
                scores,
                np.searchsorted(table.ids, ids),
                table.vectors,
                table.groups,
                count=count,
                too_similar=self.config.too_similar if by_vectors else None,
                exclude=exclude[row] if exclude else frozenset(),
            )
            found.append([Neighbour(int(ids[k]), float(scores[k])) for k in kept])
        return found

    def _candidates(
        self, queries: Sequence[Document], rng: np.random.Generator, training: bool
    ) -> Hits:
        queries = [without(query, self.config.unasked) for query in queries]
        rate = self.config.query_dropout if training else 0.0
        dropout = Dropout(rate, rng) if rate else None
        if self.config.strategy == "random":
            count = min(self.config.candidates, len(self.ids))
            picks = [rng.choice(self.ids, count, replace=False) for _ in queries]
            return Hits(np.stack(picks), np.zeros((len(queries), count), dtype=np.float32))
        if self.config.strategy == "bm25":
            queries = [query.only(Text) if query.text.strip() else query for query in queries]
        asks = {"clip": self._by_meaning, "bm25": self._by_words, "hybrid": self._by_both}
        ask = asks[self.config.strategy]
        if not self.config.clauses:
            return ask(queries, dropout)
        asked = [clauses(query, self.config.clauses) for query in queries]
        hits = ask([clause for one in asked for clause in one], dropout)
        return taking_turns(hits, [len(one) for one in asked])

    def _by_meaning(self, queries: Sequence[Document], dropout: Dropout | None) -> Hits:
        vectors = embed_queries(self.encoder, queries, dropout=dropout)
        return self.index.search(vectors, self.config.candidates)

    def _by_both(self, queries: Sequence[Document], dropout: Dropout | None) -> Hits:
        """What is near in meaning and what shares words; scores stay inner products."""
        asked = self.encoder.sides.apart(embed(self.encoder, queries, dropout=dropout))
        near = self.index.search(asked.meaning, self.config.candidates)
        said = [row for row, query in enumerate(queries) if query.text.strip()]
        if not said or not (near.ids >= 0).any():
            return near
        shared = self._by_words([queries[row] for row in said], dropout)
        found = (near.ids[near.ids >= 0], shared.ids[shared.scores > 0])
        table = self.resident or self.rows(np.concatenate(found))
        for row, ids, scores in zip(said, *shared, strict=True):
            some = scores > 0
            one = Apart(*(part[row] for part in asked))
            best = self._fused(one, near.ids[row], ids[some], scores[some], table)
            near.ids[row], near.scores[row] = best
        return near

    def _fused(
        self,
        query: Apart,
        near: Int64[np.ndarray, " count"],
        shared: Int64[np.ndarray, " some"],
        scores: Float32[np.ndarray, " some"],
        table: Table,
    ) -> tuple[Int64[np.ndarray, " count"], Float32[np.ndarray, " count"]]:
        """The best of what is near and what shares words, with their inner products."""
        ids = np.union1d(near[near >= 0], shared)
        words = np.zeros(len(ids), np.float32)
        words[np.searchsorted(ids, shared)] = scores
        vectors = table.vectors[np.searchsorted(table.ids, ids)]
        best, meaning = fused(query, vectors, words)
        best, room = best[: len(near)], (0, max(0, len(near) - len(best)))
        return (
            np.pad(ids[best], room, constant_values=-1),
            np.pad(meaning[best], room, constant_values=-np.inf),
        )

    def _by_words(self, queries: Sequence[Document], dropout: Dropout | None) -> Hits:
        asked = [words_of(query, dropout) for query in queries]
        return self.lexical.search(asked, self.config.candidates)

    def fetch(self, neighbours: Sequence[Neighbour]) -> list[Document]:
        """The neighbours' documents, as much of them as the modality lets through."""
        return self.read([neighbour.id for neighbour in neighbours])

    def read(self, ids: Sequence[int]) -> list[Document]:
        documents = self.shelf.documents(ids)
        kind = {"document": None, "text": Text, "image": Image}[self.config.modality]
        return [document.only(kind) if kind else document for document in documents]


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
