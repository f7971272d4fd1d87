"""Where documents are kept, as searching sees it: blocks of vectors, and documents by id."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from racm3.document import Document
from racm3.errors import ConfigError
from racm3.retrieval.index import Index
from racm3.retrieval.lexical import Words


class Table(NamedTuple):
    """What searching needs of some documents."""

    ids: Int64[np.ndarray, " docs"]
    groups: list[str]
    vectors: Float32[np.ndarray, "docs dim"]

    def take(self, rows: Int64[np.ndarray, " some"]) -> "Table":
        return Table(self.ids[rows], [self.groups[row] for row in rows], self.vectors[rows])


@runtime_checkable
class Shelf(Protocol):
    """LanceDB keeps this promise in `memory.py`, plain lists in `ListShelf`."""

    @property
    def snapshot_name(self) -> str: ...

    def ids(self, where: str | None = None) -> Int64[np.ndarray, " docs"]:
        """Every document that passes the filter, ascending; vectors are not read."""
        ...

    def blocks(self, where: str | None = None) -> Iterator[Table]:
        """Every document that passes the filter, once; a block is small enough for RAM."""
        ...

    def rows(self, ids: Sequence[int]) -> Table:
        """The documents of these ids, in any order."""
        ...

    def documents(self, ids: Sequence[int]) -> list[Document]:
        """In the order asked for."""
        ...

    def texts(self, where: str | None = None, column: str = "text") -> dict[int, str]:
        """What every document that passes the filter says, by id, or what stands in a column of
        its metadata; nothing where there is none. Pictures are not read."""
        ...


@runtime_checkable
class Indexed(Shelf, Protocol):
    """A shelf that can find documents without showing all of them."""

    def vector_index(self, where: str | None = None, *, probes: int, refine: int) -> Index: ...

    def word_index(self, where: str | None = None, columns: Sequence[str] = ()) -> Words: ...


def joined(blocks: Iterable[Table], dim: int) -> Table:
    """One table of all the blocks, by ascending id."""
    found = [Table(np.zeros(0, np.int64), [], np.zeros((0, dim), np.float32)), *blocks]
    ids = np.concatenate([block.ids for block in found])
    groups = [group for block in found for group in block.groups]
    vectors = np.concatenate([block.vectors for block in found])
    return Table(ids, groups, vectors).take(np.argsort(ids, kind="stable"))


class ListShelf:
    """A few documents in a list, each its own group unless said otherwise; `columns` hold their
    metadata by name, and `text` where that is known without them."""

    def __init__(
        self,
        documents: Sequence[Document],
        vectors: Float32[np.ndarray, "docs dim"],
        groups: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        ids = np.arange(len(vectors), dtype=np.int64)
        self._documents = list(documents)
        self._columns = {"text": [document.text for document in documents], **(columns or {})}
        self._table = Table(ids, list(groups or map(str, ids)), vectors)

    @property
    def snapshot_name(self) -> str:
        return f"{len(self._documents)} documents in a list"

    def blocks(self, where: str | None = None) -> Iterator[Table]:
        if where is not None:
            raise ConfigError(
                "this memory has no metadata to filter by; build one of your own with "
                "`racm3 memory build`"
            )
        yield self._table

    def ids(self, where: str | None = None) -> Int64[np.ndarray, " docs"]:
        (table,) = self.blocks(where)
        return table.ids

    def rows(self, ids: Sequence[int]) -> Table:
        return self._table.take(np.asarray(ids, dtype=np.int64))

    def documents(self, ids: Sequence[int]) -> list[Document]:
        return [self._documents[i] for i in ids]

    def texts(self, where: str | None = None, column: str = "text") -> dict[int, str]:
        ids, known = self.ids(where).tolist(), self._columns
        return dict(zip(ids, known[column], strict=True)) if column in known else {}
