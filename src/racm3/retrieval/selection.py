"""Which neighbours to keep: a pure function of scores, no index and no model (RA-CM3 §3.2)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64


def select(
    scores: Float32[np.ndarray, " candidates"],
    rows: Int64[np.ndarray, " candidates"],
    vectors: Float32[np.ndarray, "docs dim"],
    groups: Sequence[str],
    *,
    count: int,
    too_similar: float | None = 0.9,
    exclude: frozenset[str] = frozenset(),
) -> list[int]:
    """Positions to keep, walking candidates best-first (they are given in that order).

    Args:
        scores: Inner product of each candidate with the query.
        rows: Where each candidate stands among the documents.
        vectors: The documents' unit vectors.
        groups: Each document's group; documents of one group show the same picture.
        count: How many to keep.
        too_similar: Skip a candidate nearer than this to the query or to one already kept;
            None keeps the plain top of the list.
        exclude: Groups that are never kept (the query's own).
    """
    kept: list[int] = []
    for position, (score, row) in enumerate(zip(scores.tolist(), rows.tolist(), strict=True)):
        if len(kept) == count:
            break
        if groups[row] in exclude:
            continue
        if too_similar is not None:
            rivals = vectors[rows[kept]] @ vectors[row] if kept else np.zeros(0)
            if max([score, *rivals.tolist()]) > too_similar:
                continue
        kept.append(position)
    return kept
