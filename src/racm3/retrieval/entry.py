"""One document of the memory: as a value, and as a row of the table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from racm3.document import Document, Image, Text
from racm3.errors import MemoryStoreError

if TYPE_CHECKING:
    import pyarrow

OWN_COLUMNS = ("id", "group", "source", "parts", "text", "vector")


@runtime_checkable
class Readable(Protocol):
    """A document that was found; whether it has been read does not matter."""

    @property
    def source(self) -> str: ...

    @property
    def read(self) -> Callable[[], "Entry"]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A document on its way into the memory, or out of it.

    Args:
        document: What is remembered.
        source: Where it came from; adding the same source twice adds it once.
        metadata: Further columns to filter by, as text.
        group: Documents of one group show the same picture; by default its fingerprint.
        captions: Of a picture with several captions each by itself; the document joins them.
    """

    document: Document
    source: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    group: str = ""
    captions: tuple[str, ...] = ()

    def read(self) -> "Entry":
        """Itself, which has been read."""
        return self

    def said(self) -> list[str]:
        """What is said of it, each by itself; nothing where there are no words."""
        text = self.document.text.strip()
        return list(self.captions) or ([text] if text else [])

    def own_group(self) -> str:
        images = self.document.images
        return self.group or (images[0].digest() if images else f"text:{self.document.text}")


def schema(dim: int) -> "pyarrow.Schema":
    import pyarrow as pa

    part = pa.struct([("text", pa.string()), ("image", pa.binary())])
    return pa.schema([
        ("id", pa.int64()), ("group", pa.string()), ("source", pa.string()),
        ("parts", pa.list_(part)), ("text", pa.string()), ("vector", pa.list_(pa.float32(), dim)),
    ])  # fmt: skip


def matrix(column: Any, dim: int) -> Float32[np.ndarray, "docs dim"]:
    return np.array(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(-1, dim)


def parts_of(entry: Entry) -> list[dict[str, Any]]:
    """Texts, and pictures in the bytes that they were read from, or as PNG."""
    return [
        {"text": part.content, "image": None}
        if isinstance(part, Text)
        else {"text": None, "image": part.encoded or part.png()}
        for part in entry.document.parts
    ]


def rows_of(
    entries: Sequence[Entry], vectors: Float32[np.ndarray, "docs dim"], first: int
) -> list[dict[str, Any]]:
    """What goes into the table, ids counted from `first`."""
    return [
        {
            "id": first + offset,
            "group": entry.own_group(),
            "source": entry.source,
            "parts": parts_of(entry),
            "text": entry.document.require_parts().text,
            "vector": vector.tolist(),
            **entry.metadata,
        }
        for offset, (entry, vector) in enumerate(zip(entries, vectors, strict=True))
    ]


def check_names(keys: Iterable[str]) -> None:
    """
    Raises:
        MemoryStoreError: A column of metadata would have a name of ours, or none that Lance takes.
    """
    for key in sorted(keys):
        if key in OWN_COLUMNS or not key or "." in key or key.startswith("_row"):
            raise MemoryStoreError(
                f"metadata may not be called {key!r}; rename the column, in letters, digits and _"
            )


def check_vectors(vectors: np.ndarray, *, count: int, dim: int, encoder: str) -> None:
    """
    Raises:
        MemoryStoreError: These are not `count` finite vectors of length 1, as `encoder` makes them.
    """
    if vectors.shape != (count, dim):
        raise MemoryStoreError(
            f"the vectors have shape {vectors.shape} but this memory holds vectors of "
            f"{dim} numbers and {count} documents were given; encode them with {encoder}"
        )
    if not np.isfinite(vectors).all():
        raise MemoryStoreError("a vector holds NaN or infinity; nothing was added")
    lengths = np.linalg.norm(vectors, axis=1)
    strange = lengths[np.abs(lengths - 1) > 1e-3]
    if len(strange):
        raise MemoryStoreError(
            f"vectors must have length 1 but one has {strange[0]:.3f}; normalise them first"
        )


def entry_of(row: dict[str, Any], extra: list[str]) -> Entry:
    parts: list[Text | Image] = []
    for part in row["parts"]:
        if part["text"] is not None:
            parts.append(Text(part["text"]))
        else:
            parts.append(Image.decode(part["image"], name=f"a picture of document {row['id']}"))
    return Entry(
        Document(tuple(parts)),
        source=row["source"],
        metadata={key: row[key] for key in extra if row[key] is not None},
        group=row["group"],
    )


def problems(batches: Iterable["pyarrow.RecordBatch"], *, dim: int, next_id: int) -> list[str]:
    """Everything that is wrong with these rows, as sentences."""
    found, seen = list[str](), set[int]()
    for batch in batches:
        for row, vector in zip(batch.to_pylist(), matrix(batch["vector"], dim), strict=True):
            name = f"document {row['id']}"
            if row["id"] in seen:
                found.append(f"{name} is there twice")
            seen.add(row["id"])
            if row["id"] >= next_id:
                found.append(f"{name} has an id that was never given out")
            if not np.isfinite(vector).all() or abs(np.linalg.norm(vector) - 1) > 1e-3:
                found.append(f"{name} has a vector that is not of length 1")
            try:
                entry_of(row, []).document.require_parts()
            except Exception as error:
                found.append(f"{name} cannot be read: {error}")
    return found
