"""From a query to neighbours: one deciding function for training, preparing and generating."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from racm3.document import Document, Image, Text
from racm3.errors import ConfigError
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.division import FEW, by_joins
from racm3.retrieval.embedding import Apart, Dropout, Encoder, embed, embed_queries
from racm3.retrieval.fusion import fused, nearest_way, taking_turns
from racm3.retrieval.index import Block, ExactIndex, Hits, Index
from racm3.retrieval.lexical import BM25, Fields, Words
from racm3.retrieval.query import Ways, ask, ways_to_ask, without, words_of
from racm3.retrieval.selection import select
from racm3.retrieval.shelf import Indexed, Shelf, Table, joined

Finder = Callable[[Sequence[Document], Dropout | None], Hits]


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
            return self._indexed.word_index(self.where, self.config.metadata)
        stems, paired, said = self.config.stems, self.config.phrases, self._said("text")
        fields = [BM25(said, self.ids, stems=stems, paired=paired)]
        for column in self.config.columns:
            texts = self._said(column)
            fields.append(BM25(texts, self.ids, beside=said, stems=stems, paired=paired))
        for column in self.config.aliases:
            fields.append(BM25(self._said(column), self.ids, stems=stems, names=True))
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
        each: bool = False,
        leave_out: Collection[int] = (),
    ) -> list[list[Neighbour]]:
        """The neighbours of each query, best first; `count` or as many as the memory has.

        A training query is one side of its document, never both (`one_side`), with dropout. What
        is `too_similar` is kept where `near_copies` are looked for. With `each` there is one for
        each thing that is asked for (`clauses`, `joins`, `halves`, `layouts`), and no more; one
        that is asked for twice is there twice, unless a text asks for nothing else. In the place
        of documents to `leave_out` come the next ones.
        """
        hits, firsts = self._candidates(queries, rng, training)
        # A walk looks at few candidates: where all vectors are at hand, none is copied.
        table, found = self.resident or self.rows(hits.ids[hits.ids >= 0]), []
        by_vectors = self.config.strategy in ("clip", "hybrid") and not near_copies
        for row, (ids, scores) in enumerate(zip(hits.ids, hits.scores, strict=True)):
            ids, scores = ids[ids >= 0], scores[ids >= 0]
            wanted = min(count, len(set(firsts[row]))) if each else count
            kept = select(
                scores,
                np.searchsorted(table.ids, ids),
                table.vectors,
                table.groups,
                count=wanted + len(leave_out),
                too_similar=self.config.too_similar if by_vectors else None,
                exclude=exclude[row] if exclude else frozenset(),
            )
            left = [k for k in kept if int(ids[k]) not in leave_out][:wanted]
            near = [Neighbour(int(ids[k]), float(scores[k])) for k in left]
            if each:
                shown = not queries[row].text.strip()
                near = one_by_one(near, firsts[row][:count], alike=shown)
            found.append(near)
        return found

    def _candidates(
        self, queries: Sequence[Document], rng: np.random.Generator, training: bool
    ) -> tuple[Hits, list[list[int]]]:
        """What every query finds, and what comes first for each thing that it asks for."""
        queries = [without(query, self.config.unasked) for query in queries]
        rate = self.config.query_dropout if training else 0.0
        dropout = Dropout(rate, rng) if rate else None
        if self.config.strategy == "random":
            count = min(self.config.candidates, len(self.ids))
            picks = [rng.choice(self.ids, count, replace=False) for _ in queries]
            hits = Hits(np.stack(picks), np.zeros((len(queries), count), np.float32))
            return hits, hits.ids[:, :1].tolist()
        if self.config.strategy == "bm25":
            queries = [query.only(Text) if query.text.strip() else query for query in queries]
        ask = self._finder
        if not (self.config.clauses or self.config.joins or self.config.looks_closer):
            hits = ask(queries, dropout)
            return hits, hits.ids[:, :1].tolist()
        wanted = self._divided([ways_to_ask(query, self.config) for query in queries], ask, dropout)
        hits = ask([part for ways in wanted for way in ways for part in way], dropout)
        sizes = [[len(way) for way in ways] for ways in wanted]
        return taking_turns(*nearest_way(hits, sizes))

    def _divided(self, wanted: list[Ways], by: Finder, dropout: Dropout | None) -> list[Ways]:
        def nearest(queries: list[Document]) -> list[list[str]]:
            every = by(queries, dropout).ids[:, :FEW].tolist()
            found = [[id_ for id_ in ids if id_ >= 0] for ids in every]
            return [[one.text for one in self.shelf.documents(ids)] for ids in found]

        joins = self.config.joins
        return by_joins(wanted, joins, nearest, self._names) if joins else wanted

    def _names(self, text: str) -> bool:
        """Whether a text ends with the name of a document."""
        by_words = self.config.strategy in ("bm25", "hybrid")
        return by_words and isinstance(self.lexical, Fields) and bool(self.lexical.named(text))

    @property
    def _finder(self) -> Finder:
        asks = {"bm25": self._by_words, "hybrid": self._by_both}
        return asks.get(self.config.strategy, self._by_meaning)

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

    def share_words(self, query: Document, ids: Sequence[int]) -> list[bool | None]:
        """Which of these documents have a word of a query; None where no words are searched, or
        more documents than `candidates` have one."""
        asked = without(query, self.config.unasked)
        if self.config.strategy not in ("bm25", "hybrid") or not asked.text.strip():
            return [None] * len(ids)
        hits = self._by_words([asked], None)
        sharing = hits.ids[hits.scores > 0].tolist()
        other = None if len(sharing) == self.config.candidates else False
        return [True if id_ in sharing else other for id_ in ids]

    def things(self, query: Document) -> list[Document]:
        """What a query asks for, one thing at a time, by its `clauses` and `joins`."""
        whole = without(query, self.config.unasked)
        (ways,) = self._divided([ways_to_ask(whole, self.config)], self._finder, None)
        return ways[0]

    def fetch(self, neighbours: Sequence[Neighbour]) -> list[Document]:
        """The neighbours' documents, as much of them as the modality lets through."""
        return self.read([neighbour.id for neighbour in neighbours])

    def read(self, ids: Sequence[int]) -> list[Document]:
        documents = self.shelf.documents(ids)
        kind = {"document": None, "text": Text, "image": Image}[self.config.modality]
        return [document.only(kind) if kind else document for document in documents]


def one_by_one(
    found: Sequence[Neighbour], firsts: Sequence[int], *, alike: bool = False
) -> list[Neighbour]:
    """What was found as it is asked for, thing by thing: a cat, a cat and a dog are three, two of
    which find one document. As it is where all find the same one and are not to be `alike`, or not
    all of theirs are left."""
    known = {one.id: one for one in found}
    if known.keys() != set(firsts) or (len(known) < 2 and not alike):
        return list(found)
    return [known[first] for first in firsts]


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
