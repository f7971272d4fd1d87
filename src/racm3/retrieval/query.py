"""What asks: a side of a document, its clauses, its words."""

import re
from typing import Literal

import numpy as np

from racm3.document import Document, Image, Text
from racm3.errors import DocumentError
from racm3.retrieval.embedding import Dropout

Side = Literal["text", "image", "both"]


def without(query: Document, pattern: str) -> Document:
    """A query without what its text does not ask for; whole where no text would be left."""
    text = re.sub(pattern, "", query.text) if pattern else query.text
    if text == query.text or not text.strip():
        return query
    return Document.of(text, *query.images)


def clauses(query: Document, pattern: str) -> list[Document]:
    """What a query asks for, one thing at a time; pictures are asked for on their own beside it."""
    if not query.text.strip():
        return [query]
    parts = [part.strip() for part in re.split(pattern, query.text) if part and part.strip()]
    pictures = query.only(Image)
    return [Document.of(part) for part in parts] + ([pictures] if pictures.parts else [])


def words_of(query: Document, dropout: Dropout | None) -> str:
    """The words that ask; in training some are forgotten.

    Raises:
        DocumentError: It has none.
    """
    if not query.text.strip():
        raise DocumentError("BM25 searches by words, but the query has no text")
    words = query.text.split()
    return " ".join(words[i] for i in dropout.keep(len(words))) if dropout else query.text


def one_side(document: Document, rng: np.random.Generator) -> Document:
    """A training query: the text or the picture of a document, never both (§3.2)."""
    sides = [document.only(kind) for kind in (Text, Image)]
    usable = [side for side in sides if side.parts]
    return usable[rng.integers(len(usable))]


def ask(document: Document, side: Side) -> Document:
    """The side of a document that a query by `side` uses."""
    if side == "both":
        return document
    query = document.only(Text if side == "text" else Image)
    if not query.parts:
        raise DocumentError(f"the document has no {side} to query by")
    return query
