"""Searching a memory too large to look at every vector: LanceDB's indexes beside the documents.

Vectors are found by IVF-PQ (Jégou et al. 2011) and scored exactly, words by BM25. Documents that
came after the index are looked at one by one, removed ones are not found.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from racm3.errors import MemoryStoreError
from racm3.retrieval.entry import OWN_COLUMNS
from racm3.retrieval.index import Block, ExactIndex, Hits, no_hits
from racm3.retrieval.shelf import Indexed
from racm3.runtime import dice, progress

FEWEST = 256  # as many rows as a byte of a compressed vector has values
VECTORS, IDS = "vector_idx", "id_idx"
DEEPER = 4  # so many times as many are asked for by each of several columns as by all together


def build(
    table: Any,
    *,
    partitions: int | None = None,
    code_bytes: int | None = None,
    stems: bool = True,
    columns: Sequence[str] = (),
) -> None:
    """Index the ids, the vectors and the words of a table, those of some columns of its metadata,
    too; what was there before is replaced.

    Its files are joined first, since reading a row here and there from many small ones is slow;
    earlier snapshots keep theirs.

    Args:
        table: Of LanceDB.
        partitions: How many parts the vectors fall into; the root of their number by default.
        code_bytes: Bytes of a compressed vector; one for eight numbers by default.
        stems: Words are compared by their English stems.
        columns: Metadata whose words are found, too.

    Raises:
        MemoryStoreError: There are too few documents, no such column, or `code_bytes` do not divide
            the vectors.
    """
    from lancedb.index import FTS, BTree, IvfPq

    count, dim = table.count_rows(), table.schema.field("vector").type.list_size
    if count < FEWEST:
        raise MemoryStoreError(
            f"{count} documents are searched at once without an index; it is for {FEWEST} and more"
        )
    most = count // FEWEST  # each needs as many to be placed by
    parts = partitions or min(round(count**0.5), most)
    if parts > most:
        raise MemoryStoreError(
            f"{parts} partitions of {count} documents would hold fewer than {FEWEST} each; choose "
            f"at most {most}"
        )
    pieces = code_bytes or next(n for n in range(max(1, dim // 8), dim + 1) if dim % n == 0)
    if dim % pieces:
        raise MemoryStoreError(
            f"{dim} numbers cannot be cut into {pieces} equal pieces, one for each byte; choose a "
            f"divisor of {dim}"
        )
    if strange := set(columns) - (set(table.schema.names) - set(OWN_COLUMNS)):
        raise MemoryStoreError(
            f"the metadata has no column {min(strange)!r}; `racm3 memory stats` says what it has"
        )
    compressed = IvfPq(distance_type="dot", num_partitions=parts, num_sub_vectors=pieces)
    table.to_lance().optimize.compact_files()
    table.checkout_latest()
    # Words as `lexical` takes them: without articles and the like.
    plain = FTS(with_position=False, stem=stems, ascii_folding=False, remove_stop_words=True)
    said = [(name, words_of(name), plain) for name in ("text", *columns)]
    work = [("id", IDS, BTree()), *said, ("vector", VECTORS, compressed)]
    for column, name, how in progress(work, label="index", total=len(work)):
        table.create_index(column, config=how, name=name, replace=True)


def words_of(column: str) -> str:
    """What the index of a column's words is called."""
    return f"{column}_idx"


def require(table: Any, name: str) -> Any:
    """The table, if it has this index.

    Raises:
        MemoryStoreError: It has not.
    """
    if name not in {one.name for one in table.list_indices()}:
        raise MemoryStoreError(
            f"this memory has no index {name}; make one with `racm3 memory index` (the words of "
            "metadata with --columns), or search exactly"
        )
    return table


class DiskIndex:
    """Approximate maximum inner product search; scores are exact."""

    def __init__(self, table: Any, where: str | None, *, probes: int, refine: int) -> None:
        self.table, self.where = require(table, VECTORS), where
        self.probes, self.refine = probes, refine

    def search(self, queries: Float32[np.ndarray, "queries dim"], count: int) -> Hits:
        if not len(queries):
            return no_hits(0, count)
        asked = self.table.search(queries, vector_column_name="vector")
        asked = asked.select(["id", "_distance"]).limit(count)
        asked = asked.nprobes(self.probes).refine_factor(self.refine)
        found = _filtered(asked, self.where).to_arrow()
        # A single query is not numbered.
        one = "query_index" not in found.schema.names
        of = np.zeros(len(found), np.int64) if one else found["query_index"].to_numpy()
        return _hits(len(queries), count, of, found["id"].to_numpy(),
                     1 - found["_distance"].to_numpy())  # fmt: skip


class DiskWords:
    """BM25 over the texts' index, added to that over each column's; only what shares a word with
    the query is found. What a text and a column both say counts twice."""

    def __init__(self, table: Any, where: str | None, columns: Sequence[str] = ()) -> None:
        self.columns = ["text", *(name for name in columns if name in table.schema.names)]
        for name in self.columns:
            require(table, words_of(name))
        self.table, self.where = table, where

    def search(self, texts: Sequence[str], count: int) -> Hits:
        of, ids, scores = list[int](), list[int](), list[float]()
        for number, text in enumerate(texts):
            found = self._one(text, count)
            of += [number] * len(found)
            ids += found
            scores += found.values()
        return _hits(len(texts), count, np.array(of, np.int64), np.array(ids, np.int64),
                     np.array(scores))  # fmt: skip

    def _one(self, text: str, count: int) -> dict[int, float]:
        total: dict[int, float] = {}
        deep = count if len(self.columns) == 1 else DEEPER * count
        for name in self.columns:
            asked = self.table.search(text, query_type="fts", fts_columns=name)
            found = _filtered(asked.select(["id", "_score"]).limit(deep), self.where).to_arrow()
            for id_, score in zip(*(found[k].to_pylist() for k in ("id", "_score")), strict=True):
                total[id_] = total.get(id_, 0.0) + score
        return total


def _filtered(asked: Any, where: str | None) -> Any:
    return asked if where is None else asked.where(where, prefilter=True)


def _hits(queries: int, count: int, of: Any, ids: Any, scores: Any) -> Hits:
    """Rows of (query, id, score) as one line a query, best first, ties by id."""
    hits = no_hits(queries, count)
    for query in range(queries):
        mine = np.flatnonzero(of == query)
        order = mine[np.lexsort((ids[mine], -scores[mine]))][:count]
        hits.ids[query, : len(order)] = ids[order]
        hits.scores[query, : len(order)] = scores[order]
    return hits


def found_share(
    shelf: Indexed,
    *,
    probes: int,
    refine: int,
    candidates: int,
    queries: int = 100,
    nearest: int = 10,
) -> float:
    """How many of the `nearest` to some documents are among the `candidates` that the index finds;
    reads all once."""
    looked_at = progress(shelf.blocks(), label="checking against every vector")
    exact = ExactIndex(lambda: (Block(block.ids, block.vectors) for block in looked_at))
    ids = shelf.ids()
    some = dice(0, 91).choice(ids, min(queries, len(ids)), replace=False)
    asked = shelf.rows(some.tolist()).vectors
    right = exact.search(asked, nearest).ids
    index = shelf.vector_index(probes=probes, refine=refine)
    found = index.search(asked, max(candidates, nearest)).ids
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(right, found, strict=True)]))
