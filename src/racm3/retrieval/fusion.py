"""One list of hits from several: pure functions of ids and ranks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from racm3.retrieval.index import Hits

# Cormack et al. 2009 take 60 for lists of a thousand. With it, whoever stands anywhere in two short
# lists comes before the first of one: see docs/log.md.
SMOOTHING = 3
# What shares the query's words counts for more than what is near in meaning: see docs/log.md.
MEANING_AND_WORDS = (1.0, 1.5)


def by_reciprocal_rank(
    *rankings: Int64[np.ndarray, "queries count"], weights: Sequence[float]
) -> Int64[np.ndarray, "queries count"]:
    """The ids with the largest sum of weight / (3 + rank), -1 where none is left.

    Cormack et al. 2009, with a weight for each ranking. Ties go to the earlier ranking.
    """
    fused = np.full_like(rankings[0], -1)
    for query, lists in enumerate(zip(*rankings, strict=True)):
        worth: dict[int, float] = {}
        for ids, weight in zip(lists, weights, strict=True):
            for rank, id_ in enumerate(ids[ids >= 0].tolist(), start=1):
                worth[id_] = worth.get(id_, 0.0) + weight / (SMOOTHING + rank)
        best = sorted(worth, key=worth.__getitem__, reverse=True)[: fused.shape[1]]
        fused[query, : len(best)] = best
    return fused


def taking_turns(hits: Hits, counts: Sequence[int]) -> Hits:
    """Hits of several clauses each as those of their queries: all firsts, then all seconds, ..."""
    width, start, merged = hits.ids.shape[1], 0, []
    for count in counts:
        rows = slice(start, start + count)
        ids, scores = hits.ids[rows].T.ravel(), hits.scores[rows].T.ravel()
        first = np.sort(np.unique(ids, return_index=True)[1])
        first = first[ids[first] >= 0][:width]
        room = (0, width - len(first))
        merged.append((
            np.pad(ids[first], room, constant_values=-1),
            np.pad(scores[first], room, constant_values=-np.inf),
        ))  # fmt: skip
        start += count
    return Hits(np.stack([ids for ids, _ in merged]), np.stack([score for _, score in merged]))
