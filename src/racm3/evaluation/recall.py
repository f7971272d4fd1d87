"""Recall of the retriever (RA-CM3 Table 4)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from racm3.document import Document
from racm3.retrieval.encoder import embed
from racm3.retrieval.retriever import Retriever


def recalled(
    retriever: Retriever, queries: Sequence[Document], right: Sequence[int], *, k: int
) -> Bool[np.ndarray, " queries"]:
    """Whether the right document is among the k nearest; no redundancy walk, no dropout."""
    vectors = embed(retriever.encoder, queries)
    hits = retriever.index.search(vectors, k)
    return (hits.ids == np.asarray(right)[:, None]).any(axis=1)
