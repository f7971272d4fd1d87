"""What asks: a side of a document, its clauses, halves or places, its words."""

import math
import re
from collections.abc import Iterable
from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8

from racm3.document import Document, Image, Text, reduced
from racm3.errors import DocumentError
from racm3.retrieval.config import Layout, RetrieverConfig
from racm3.retrieval.embedding import Dropout

Side = Literal["text", "image", "both"]
# Each is a list of what asks for itself.
Ways = list[list[Document]]
# More pixels on the shorter side of a picture tell a CLIP nothing.
MOST = 512
# A ground is what most of so many pixels of a border have, no channel further than that of 255.
SOME, ALIKE = 256, 26
# A layout leaves no more than this share of a picture out that is no ground.
BETWEEN = 0.01


def without(query: Document, pattern: str) -> Document:
    """A query without what its text does not ask for; whole where no text would be left."""
    text = _asked(query, pattern)
    if text == query.text or not text.strip():
        return query
    return Document.of(text, *query.images)


def asks_nothing(query: Document, pattern: str) -> bool:
    """Whether a query is nothing but words by which no document is to be found."""
    said = query.text.strip()
    return bool(said) and not query.images and not _asked(query, pattern).strip()


def _asked(query: Document, pattern: str) -> str:
    return re.sub(pattern, "", query.text) if pattern else query.text


def ways_to_ask(query: Document, config: RetrieverConfig) -> Ways:
    """Ways to look for what a query shows or says, each a list of what asks for itself: as a whole
    first. A text asks by its clauses, and a picture alone may ask by two of its halves, or by the
    places of a layout that leaves nothing out."""
    if config.looks_closer and not query.text.strip() and len(query.images) == 1:
        picture = reduced(query.images[0], MOST)
        cut = halves(picture) if config.halves else []
        several = (places(picture, one) for one in config.layouts if fits(picture, one))
        return [[query], *cut, *several]
    return [clauses(query, config.clauses) if config.clauses else [query]]


def clauses(query: Document, pattern: str) -> list[Document]:
    """What a query asks for, one thing at a time; pictures are asked for on their own beside it."""
    return apart(query, re.split(pattern, query.text)) if query.text.strip() else [query]


def apart(query: Document, parts: Iterable[str]) -> list[Document]:
    """Parts of a query's text, and its pictures, on their own."""
    pictures = query.only(Image)
    said = [Document.of(part.strip()) for part in parts if part and part.strip()]
    return said + ([pictures] if pictures.parts else [])


def halves(picture: Image) -> list[list[Document]]:
    """Its left and right half, its upper and lower one; the rest has its border's commonest colour.
    A large one is made smaller."""
    pixels, every = reduced(picture, MOST).pixels, slice(None)
    ground = _ground(pixels)

    def shown(rows: slice, columns: slice) -> Document:
        half = np.full_like(pixels, ground)
        half[rows, columns] = pixels[rows, columns]
        return Document.of(Image(half))

    row, column = (n // 2 for n in pixels.shape[:2])
    return [
        [shown(every, slice(column)), shown(every, slice(column, None))],
        [shown(slice(row), every), shown(slice(row, None), every)],
    ]


def places(picture: Image, layout: Layout) -> list[Document]:
    """What stands at each place of a layout, by itself in the middle of its border's commonest
    colour. A large picture is made smaller."""
    pixels = reduced(picture, MOST).pixels
    ground = _ground(pixels)
    return [Document.of(alone(pixels, middle, ground)) for middle in layout]


def fits(picture: Image, layout: Layout) -> bool:
    """Whether nothing stands between the places of a layout: where four stand, three leave out."""
    pixels = reduced(picture, MOST).pixels
    between = np.abs(pixels.astype(int) - _ground(pixels)).max(axis=2) > ALIKE
    for middle in layout:
        between[_around(pixels, middle)] = False
    return bool(between.mean() <= BETWEEN)


def alone(
    pixels: UInt8[np.ndarray, "height width 3"],
    middle: tuple[float, float],
    ground: UInt8[np.ndarray, "3"],
) -> Image:
    """What half of the sides show around a middle, in the middle of the ground."""
    shown = np.empty_like(pixels)
    shown[:] = ground
    shown[_around(pixels, (0.5, 0.5))] = pixels[_around(pixels, middle)]
    return Image(shown)


def _around(
    pixels: UInt8[np.ndarray, "height width 3"], middle: tuple[float, float]
) -> tuple[slice, slice]:
    """Rows and columns of half of the sides around a middle."""
    spans = list[slice]()
    for side, at in zip(pixels.shape[:2], middle[::-1], strict=True):
        size = max(1, side // 2)
        start = min(max(0, math.ceil(at * side - size / 2 - 0.5)), side - size)
        spans.append(slice(start, start + size))
    rows, columns = spans
    return rows, columns


def _ground(pixels: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "3"]:
    """The commonest colour of the border: four things leave little of it."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    some = border[:: max(1, len(border) // SOME)].astype(int)
    alike = np.abs(some[:, None] - some).max(axis=2) <= ALIKE
    return np.median(some[alike[alike.sum(axis=1).argmax()]], axis=0).astype(np.uint8)


def mirrored(picture: Image, mask: Bool[np.ndarray, "height width"]) -> Image:
    """What is left of a picture asks: its masked part mirrors the rest at the nearest edge, so that
    no edge is to be seen that was none. Grey where nothing is left; a large one is made smaller."""
    from scipy.ndimage import distance_transform_edt

    shades = np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    mask = reduced(Image(shades), MOST).pixels[..., 0] > 0
    picture = reduced(picture, MOST)
    if mask.all():
        return Image(np.full_like(picture.pixels, 127))
    here = np.indices(mask.shape)
    edge = distance_transform_edt(mask, return_distances=False, return_indices=True)
    there = 2 * edge - here + np.sign(here - edge)
    inside = np.array(mask.shape).reshape(2, 1, 1) - 1
    row, column = np.clip(there, 0, inside)
    known = (there == (row, column)).all(axis=0) & ~mask[row, column]
    row, column = np.where(known, (row, column), edge)
    return Image(picture.pixels[row, column])


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
