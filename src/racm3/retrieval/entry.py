"""One document of the memory: as a value, and as a row of the table."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from racm3.document import Document, Image, Text

if TYPE_CHECKING:
    import pyarrow

OWN_COLUMNS = ("id", "group", "source", "parts", "text", "vector")


@dataclass(frozen=True, slots=True)
class Entry:
    """A document on its way into the memory, or out of it.

    Args:
        document: What is remembered.
        source: Where it came from; adding the same source twice adds it once.
        metadata: Further columns to filter by, as text.
        encoded: The pictures' original bytes in order, kept as they are; PNG where not given.
        group: Documents of one group show the same picture; by default its fingerprint.
    """

    document: Document
    source: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    encoded: tuple[bytes, ...] = ()
    group: str = ""

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
    encoded = iter(entry.encoded)
    parts: list[dict[str, Any]] = []
    for part in entry.document.parts:
        if isinstance(part, Text):
            parts.append({"text": part.content, "image": None})
        else:
            parts.append({"text": None, "image": next(encoded, None) or part.png()})
    return parts


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
        encoded=tuple(part["image"] for part in row["parts"] if part["image"] is not None),
        group=row["group"],
    )
