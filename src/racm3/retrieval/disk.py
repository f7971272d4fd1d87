"""Searching a memory too large to look at every vector: LanceDB's indexes beside the documents.

Vectors are found by IVF-PQ (Jégou et al. 2011) and scored exactly, words by BM25. Documents that
came after the index are looked at one by one, removed ones are not found.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from racm3.errors import MemoryStoreError
from racm3.retrieval.index import Block, ExactIndex, Hits, no_hits
from racm3.retrieval.shelf import Indexed
from racm3.runtime import dice, progress

FEWEST = 256  # as many rows as a byte of a compressed vector has values
VECTORS, WORDS, IDS = "vector_idx", "text_idx", "id_idx"


def build(table: Any, *, partitions: int | None, code_bytes: int | None, stems: bool) -> None:
    """Index the ids, the vectors and the words of a table; what was there before is replaced.

    Its files are joined first, since reading a row here and there from many small ones is slow;
    earlier snapshots keep theirs.

    Raises:
        MemoryStoreError: There are too few documents, or `code_bytes` do not divide the vectors.
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
    compressed = IvfPq(distance_type="dot", num_partitions=parts, num_sub_vectors=pieces)
    table.to_lance().optimize.compact_files()
    table.checkout_latest()
    # Words as `lexical` takes them: without articles and the like.
    plain = FTS(with_position=False, stem=stems, ascii_folding=False, remove_stop_words=True)
    work = (("id", IDS, BTree()), ("text", WORDS, plain), ("vector", VECTORS, compressed))
    for column, name, how in progress(work, label="index", total=len(work)):
        table.create_index(column, config=how, name=name, replace=True)


def require(table: Any, name: str) -> Any:
    """The table, if it has this index.

    Raises:
        MemoryStoreError: It has not.
    """
    if name not in {one.name for one in table.list_indices()}:
        raise MemoryStoreError(
            "this memory has no index; make one with `racm3 memory index`, or search exactly"
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
    """BM25 over a text index; only what shares a word with the query is found."""

    def __init__(self, table: Any, where: str | None) -> None:
        self.table, self.where = require(table, WORDS), where

    def search(self, texts: Sequence[str], count: int) -> Hits:
        of, ids, scores = list[int](), list[int](), list[float]()
        for number, text in enumerate(texts):
            asked = self.table.search(text, query_type="fts", fts_columns="text")
            found = _filtered(asked.select(["id", "_score"]).limit(count), self.where).to_arrow()
            of += [number] * len(found)
            ids += found["id"].to_pylist()
            scores += found["_score"].to_pylist()
        return _hits(len(texts), count, np.array(of, np.int64), np.array(ids, np.int64),
                     np.array(scores))  # fmt: skip


def _filtered(asked: Any, where: str | None) -> Any:
    return asked if where is None else asked.where(where, prefilter=True)


def _hits(queries: int, count: int, of: Any, ids: Any, scores: Any) -> Hits:
    """Rows of (query, id, score) as one line a query, best first, ties by id."""
    hits = no_hits(queries, count)
    for query in range(queries):
        mine = np.flatnonzero(of == query)
        order = mine[np.lexsort((ids[mine], -scores[mine]))]
        hits.ids[query, : len(order)] = ids[order]
        hits.scores[query, : len(order)] = scores[order]
    return hits


def found_share(
    shelf: Indexed, *, probes: int, refine: int, queries: int = 100, count: int = 10
) -> float:
    """How many of the `count` truly nearest of some documents the index finds; reads all once."""
    looked_at = progress(shelf.blocks(), label="checking against every vector")
    exact = ExactIndex(lambda: (Block(block.ids, block.vectors) for block in looked_at))
    ids = shelf.ids()
    some = dice(0, 91).choice(ids, min(queries, len(ids)), replace=False)
    asked = shelf.rows(some.tolist()).vectors
    right = exact.search(asked, count).ids
    found = shelf.vector_index(probes=probes, refine=refine).search(asked, count).ids
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(right, found, strict=True)]))
