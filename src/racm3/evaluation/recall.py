"""Recall of the retriever, in the four forms of RA-CM3's Table 4."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool

from racm3.document import Document, Image, Text
from racm3.retrieval.embedding import Encoder, embed_memory, embed_queries
from racm3.retrieval.index import ExactIndex
from racm3.retrieval.query import ask
from racm3.retrieval.retriever import Retriever

Form = tuple[Literal["text", "image"], Literal["text", "image", "document"]]
FORMS: tuple[Form, ...] = (
    ("text", "image"),
    ("text", "document"),
    ("image", "text"),
    ("image", "document"),
)


def recalled(
    retriever: Retriever, queries: Sequence[Document], right: Sequence[int], *, k: int
) -> Bool[np.ndarray, " queries"]:
    """Whether the right document is among the k nearest; no redundancy walk, no dropout."""
    hits = retriever.index.search(embed_queries(retriever.encoder, queries), k)
    return (hits.ids == np.asarray(right)[:, None]).any(axis=1)


def table_four(
    encoder: Encoder,
    documents: Sequence[Document],
    form: Form,
    *,
    k: int,
    asking: Sequence[Document] | None = None,
) -> Bool[np.ndarray, " docs"]:
    """One side of each document asks; is its own text, picture or whole among the k nearest?

    A document that holds the very words that ask gives the answer away: `asking` lends other
    documents' sides as queries, such as another caption of the same picture.
    """
    side, wanted = form
    kind = {"text": Text, "image": Image, "document": None}[wanted]
    answers = [one.only(kind) if kind else one for one in documents]
    index = ExactIndex.of(np.arange(len(documents)), embed_memory(encoder, answers))
    queries = [ask(one, side) for one in asking or documents]
    hits = index.search(embed_queries(encoder, queries), k)
    return (hits.ids == np.arange(len(documents))[:, None]).any(axis=1)
