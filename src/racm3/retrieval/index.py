"""Maximum inner product search: exact, block by block, so memory is bounded by configuration."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64


class Block(NamedTuple):
    ids: Int64[np.ndarray, " rows"]
    vectors: Float32[np.ndarray, "rows dim"]


class Hits(NamedTuple):
    """Best first; ties go to the smaller id; -1 and -inf where there are fewer rows than asked."""

    ids: Int64[np.ndarray, "queries count"]
    scores: Float32[np.ndarray, "queries count"]


def no_hits(queries: int, count: int) -> Hits:
    return Hits(
        np.full((queries, count), -1, dtype=np.int64),
        np.full((queries, count), -np.inf, dtype=np.float32),
    )


@runtime_checkable
class Index(Protocol):
    def search(self, queries: Float32[np.ndarray, "queries dim"], count: int) -> Hits: ...


class ExactIndex:
    """Every vector is looked at: `torch.matmul` and `topk` over one block after the other."""

    def __init__(self, blocks: Callable[[], Iterable[Block]]) -> None:
        self.blocks = blocks

    @classmethod
    def of(
        cls, ids: Int64[np.ndarray, " rows"], vectors: Float32[np.ndarray, "rows dim"]
    ) -> "ExactIndex":
        return cls(lambda: [Block(ids, vectors)])

    def search(self, queries: Float32[np.ndarray, "queries dim"], count: int) -> Hits:
        best = no_hits(len(queries), count)
        asked = torch.from_numpy(np.ascontiguousarray(queries))
        for ids, vectors in self.blocks():
            if not len(ids):
                continue
            scores = asked @ torch.from_numpy(vectors).T
            top = scores.topk(min(count, len(ids)), dim=1)
            found = Hits(ids[top.indices.numpy()], top.values.numpy())
            best = _merge(best, found, count)
        return best


def _merge(one: Hits, other: Hits, count: int) -> Hits:
    ids = np.concatenate([one.ids, other.ids], axis=1)
    scores = np.concatenate([one.scores, other.scores], axis=1)
    order = np.lexsort((ids, -scores), axis=1)[:, :count]
    return Hits(np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1))
