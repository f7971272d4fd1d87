"""Neighbours looked up while training, where the memory is small enough to be asked every time."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int64

from racm3.data.prepare import neighbours_of
from racm3.document import Document
from racm3.retrieval.retriever import Retriever


class Live:
    """Asks what `prepare` asks, with fresh query dropout for every sample instead of a few draws.

    Args:
        retriever: Over the memory that the material was prepared from.
        document: The document of a row of the material.
        group: Its group, whose members are never its neighbours.
        depth: Neighbours to look up.
    """

    def __init__(
        self,
        retriever: Retriever,
        document: Callable[[int], Document],
        group: Callable[[int], frozenset[str]],
        *,
        depth: int = 2,
    ) -> None:
        self.retriever, self.document, self.group, self.depth = retriever, document, group, depth
        self._row_of = {int(id_): row for row, id_ in enumerate(retriever.ids)}

    def rows(self, document: int, rng: np.random.Generator) -> Int64[np.ndarray, " depth"]:
        """Rows of the memory, best first; -1 where fewer were found."""
        (found,) = neighbours_of(
            self.retriever, [self.document(document)], [self.group(document)], self.depth, rng
        )
        rows = np.full(self.depth, -1, dtype=np.int64)
        rows[: len(found)] = [self._row_of[neighbour.id] for neighbour in found]
        return rows
