"""Which candidate is shown first: pictures by CLIP, texts by perplexity (RA-CM3 §4.2)."""

from collections.abc import Sequence

import numpy as np


def best_first(scores: Sequence[float]) -> list[int]:
    """Candidates by falling score; ties keep the order in which they were made."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist()


def text_score(log_probabilities: Sequence[float]) -> float:
    """Mean log-probability of an id: its negative exponential is the perplexity."""
    return float(np.mean(log_probabilities)) if len(log_probabilities) else float("-inf")
