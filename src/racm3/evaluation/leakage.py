"""The leakage guard: evaluation documents that the memory knows already, found before scoring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt64
from PIL import Image as PIL

from racm3.document import Document, Image

SIDE = 8


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What counts as the same document.

    Args:
        bits: Most bits by which two pictures' 64-bit difference hashes may differ.
        cosine: Least cosine between the vectors of two pictures; None compares no vectors.
    """

    bits: int = 4
    cosine: float | None = None


@dataclass(frozen=True)
class Leak:
    """An evaluation document, and the rows (or ids) of the memory that show it already."""

    document: int
    memory: tuple[int, ...]
    why: str


def difference_hash(picture: Image) -> np.uint64:
    """One bit for each pair of horizontal neighbours of a 9 x 8 grey thumbnail (dHash)."""
    small = picture.pil().convert("L").resize((SIDE + 1, SIDE), PIL.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return np.uint64(int("".join("1" if bit else "0" for bit in bits), 2))


def find_leaks(
    documents: Sequence[Document],
    memory: Sequence[Document],
    guard: Guard,
    *,
    vectors: tuple[Float32[np.ndarray, "docs dim"], Float32[np.ndarray, "rows dim"]] | None = None,
) -> list[Leak]:
    """Documents whose picture, or whose whole text, stands in the memory too.

    `vectors` are the pictures' unit vectors on both sides, where `guard.cosine` is given.
    """
    texts: dict[str, list[int]] = {}
    for row, known in enumerate(memory):
        texts.setdefault(_plain(known), []).append(row)
    hashes = [_hash_of(one) for one in memory]
    pictured = np.array([row for row, h in enumerate(hashes) if h is not None], dtype=np.int64)
    known_hashes = np.array([h for h in hashes if h is not None], dtype=np.uint64)
    leaks = []
    for number, document in enumerate(documents):
        same = texts.get(_plain(document), []) if _plain(document) else []
        if same:
            leaks.append(Leak(number, tuple(same), "text"))
        mine = _hash_of(document)
        near = np.zeros(0, np.int64)
        if mine is not None and len(known_hashes):
            near = pictured[bits_apart(known_hashes, mine) <= guard.bits]
        if vectors is not None and guard.cosine is not None:
            close = np.flatnonzero(vectors[1] @ vectors[0][number] >= guard.cosine)
            near = np.union1d(near, close)
        if len(near):
            leaks.append(Leak(number, tuple(int(row) for row in near), "picture"))
    return leaks


def bits_apart(hashes: UInt64[np.ndarray, " rows"], one: np.uint64) -> np.ndarray:
    return np.bitwise_count(hashes ^ one)


def clean(count: int, leaks: Sequence[Leak]) -> Bool[np.ndarray, " docs"]:
    """Which of `count` evaluation documents leak nothing: scores are given with and without."""
    kept = np.ones(count, dtype=bool)
    kept[[leak.document for leak in leaks]] = False
    return kept


def _plain(document: Document) -> str:
    return " ".join(document.text.lower().split())


def _hash_of(document: Document) -> np.uint64 | None:
    return difference_hash(document.images[0]) if document.images else None
