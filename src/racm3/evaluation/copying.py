"""The copy meter: how much of an output was taken over from what it consulted, or from anywhere."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from racm3.document import Image
from racm3.retrieval.embedding import Encoder
from racm3.retrieval.index import Index
from racm3.tokens.image import ImageTokenizer

Grid = Int64[np.ndarray, "rows columns"]


class Copying(NamedTuple):
    """Shares in [0, 1], cosines in [-1, 1].

    Attributes:
        in_place: Share of cells whose code a consulted picture has at the same place.
        blocks: Share of 2 x 2 blocks of codes that a consulted picture has anywhere.
        consulted: Cosine to the nearest consulted picture.
        memory: Cosine to the nearest document of the whole memory, at least 0.
    """

    in_place: float
    blocks: float
    consulted: float
    memory: float


def blocks(grid: Grid) -> list[tuple[int, ...]]:
    """Every 2 x 2 block of codes, overlapping, in reading order."""
    rows, columns = grid.shape
    corners = [grid[r : r + 2, c : c + 2] for r in range(rows - 1) for c in range(columns - 1)]
    return [tuple(corner.ravel().tolist()) for corner in corners]


def in_place(made: Grid, consulted: Sequence[Grid]) -> float:
    return max((float((made == one).mean()) for one in consulted), default=0.0)


def shared_blocks(made: Grid, consulted: Sequence[Grid]) -> float:
    known = {block for one in consulted for block in blocks(one)}
    mine = blocks(made)
    return sum(block in known for block in mine) / len(mine)


def copied(
    tokenizer: ImageTokenizer, made: Image, consulted: Sequence[Image]
) -> tuple[float, float]:
    """Share of cells taken over in place, and of 2 x 2 blocks taken over from anywhere."""
    codes = tokenizer.encode([made, *consulted])
    mine, *theirs = (one.reshape(tokenizer.grid.rows, -1) for one in codes)
    return in_place(mine, theirs), shared_blocks(mine, theirs)


class CopyMeter:
    """Plain areas are equal everywhere; compare with what a *right* picture scores."""

    def __init__(
        self,
        tokenizer: ImageTokenizer,
        encoder: Encoder,
        memory: Index,
    ) -> None:
        """`memory` finds among the unit vectors of everything that could have been copied."""
        self.tokenizer, self.encoder, self.memory = tokenizer, encoder, memory

    def __call__(self, made: Image, consulted: Sequence[Image]) -> Copying:
        same, blocks_ = copied(self.tokenizer, made, consulted)
        vectors = self.encoder.images([made, *consulted])
        near = vectors[1:] @ vectors[0]
        return Copying(
            same,
            blocks_,
            float(near.max()) if len(near) else 0.0,
            max(0.0, float(self.memory.search(vectors[:1], 1).scores[0, 0])),
        )
