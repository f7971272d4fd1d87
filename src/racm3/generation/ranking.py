"""Which candidate is shown first: pictures by CLIP, texts by perplexity (RA-CM3 §4.2)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def order_pictures(
    text: Float[np.ndarray, " dim"], pictures: Float[np.ndarray, "candidates dim"]
) -> list[int]:
    """Best first by cosine with the caption; ties keep the order of drawing."""
    return np.argsort(-(pictures @ text), kind="stable").tolist()


def order_texts(log_probabilities: Sequence[Sequence[float]]) -> list[int]:
    """Best first by perplexity per id; ties keep the order of writing."""
    perplexity = [
        -float(np.mean(values)) if len(values) else np.inf for values in log_probabilities
    ]
    return np.argsort(perplexity, kind="stable").tolist()
