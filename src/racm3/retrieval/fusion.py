"""One list of hits from several: pure functions of ids and scores."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int64

from racm3.retrieval.embedding import Apart
from racm3.retrieval.index import Hits

# What shares the query's words counts for more than what is near in meaning: see docs/log.md. An
# encoder that tells words says how much of the meaning it knows, and has a say of its own in these.
MEANING, WORDS, TOLD = 0.4, 0.6, 0.1
# By how much more than two parts that ask are nearer than they score (docs/log.md).
MANY = 0.02


def by_standard_scores(
    *scores: Float32[np.ndarray, " docs"], weights: Sequence[float]
) -> Int64[np.ndarray, " docs"]:
    """Which documents come first by a weighted sum of scores in standard deviations from the mean.

    Montague & Aslam 2001, with weights. Unlike ranks, scores say by how much one document is better
    than the next: a name that nothing else shares decides, a word that many share does not. Where
    all have the same score nothing is told; ties go to whoever stands earlier.

    Args:
        scores: What the same documents are worth to each search, higher is better.
        weights: How much each search counts.
    """
    total = np.zeros(len(scores[0]))
    for some, weight in zip(scores, weights, strict=True):
        spread = some.std()
        if spread > 0:
            total += weight * (some - some.mean()) / spread
    return np.argsort(-total, kind="stable")


def fused(
    query: Apart,
    documents: Float32[np.ndarray, "docs dim"],
    shared: Float32[np.ndarray, " docs"],
) -> tuple[Int64[np.ndarray, " docs"], Float32[np.ndarray, " docs"]]:
    """Which documents come first by what they mean and by their words, and how near they mean it.

    Args:
        query: One query: `meaning` of shape (dim,), `words` of (words,), `known` of ().
        documents: What the same documents are to the encoder.
        shared: What the query's words in them are worth (BM25).
    """
    meaning, told = documents @ query.meaning, len(query.words)
    scores, weights = [meaning, shared], [MEANING * float(query.known), WORDS]
    if told:
        scores.append(documents[:, -told:] @ query.words)
        weights.append(TOLD)
    return by_standard_scores(*scores, weights=weights), meaning


def nearest_way(hits: Hits, ways: Sequence[Sequence[int]]) -> tuple[Hits, list[int]]:
    """Of several ways to ask each query's hits of the nearest one, and how many rows these are.

    A way is as near as the least of its rows' best hits, and more than two rows a little nearer:
    two halves find two of three as well. All but the first have to be nearer than the first, and
    two rows to find different documents: halves of one thing both find it.

    Args:
        hits: A row for each part of each way of each query.
        ways: For every query how many rows each of its ways has.
    """
    start, rows, counts = 0, list[int](), list[int]()
    for sizes in ways:
        starts = start + np.cumsum([0, *sizes])
        first, *others = (range(*span) for span in pairwise(starts.tolist()))
        apart = [one for one in others if len(one) != 2 or np.ptp(hits.ids[one, 0])]
        chosen = max(
            [first, *apart], key=lambda way: hits.scores[way, 0].min() + MANY * (len(way) > 2)
        )
        rows += chosen
        counts.append(len(chosen))
        start = int(starts[-1])
    return Hits(hits.ids[rows], hits.scores[rows]), counts


def taking_turns(hits: Hits, counts: Sequence[int]) -> tuple[Hits, list[list[int]]]:
    """Hits of several clauses each as those of their queries: all firsts, then all seconds, ...;
    and the firsts of each query, clause by clause."""
    width, start, merged, firsts = hits.ids.shape[1], 0, [], []
    for count in counts:
        rows = slice(start, start + count)
        ids, scores = hits.ids[rows].T.ravel(), hits.scores[rows].T.ravel()
        firsts.append(ids[:count].tolist())
        first = np.sort(np.unique(ids, return_index=True)[1])
        first = first[ids[first] >= 0][:width]
        room = (0, width - len(first))
        merged.append((
            np.pad(ids[first], room, constant_values=-1),
            np.pad(scores[first], room, constant_values=-np.inf),
        ))  # fmt: skip
        start += count
    ids, scores = zip(*merged, strict=True)
    return Hits(np.stack(ids), np.stack(scores)), firsts
