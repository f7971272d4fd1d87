"""A row of some table as a document: which columns are the picture, the words, and the rest."""

import re
from collections.abc import Sequence
from typing import Any

from racm3.data.iptc import Told, told
from racm3.document import Document, Image
from racm3.errors import DocumentError
from racm3.retrieval.entry import OWN_COLUMNS, Entry

# The first that holds something is the caption; the others stay metadata.
CAPTION_KEYS = (
    "caption", "captions", "text", "txt", "alt", "description", "sentences", "prompt", "title",
)  # fmt: skip
IMAGE_KEYS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "bytes")


def entry(data: bytes | None, texts: Sequence[str], source: str, metadata: dict[str, str]) -> Entry:
    """A captioned picture, or text alone; several captions are joined into one text.

    Of a picture without any, and for its keywords, what it says of itself is taken (IPTC).
    """
    image = [Image.decode(data, name=source)] if data is not None else []
    own = told(data) if data is not None else Told()
    given = [text for text in texts if text.strip()] or [own.caption]
    captions = tuple(text.strip() for text in given if text)
    words = [" ".join(captions)] if captions else []
    document = Document.of(*words, *image).require_parts()
    if own.keywords:
        metadata = {"keywords": ", ".join(own.keywords), **metadata}
    return Entry(document, source, metadata, captions=captions)


def entry_of_row(row: dict[str, Any], source: str) -> Entry:
    """A picture column (bytes, or a struct with bytes), a caption column, the rest metadata."""
    said = texts(row)
    return entry(picture_bytes(row), said, source, metadata(row, IMAGE_KEYS, said))


def picture_bytes(row: dict[str, Any]) -> bytes | None:
    """The picture's bytes, plain or in a struct as `datasets` and Parquet hold them."""
    data = first(row, IMAGE_KEYS)
    data = data.get("bytes") if isinstance(data, dict) else data
    if data is not None and not isinstance(data, bytes):
        raise DocumentError(f"the picture column holds {type(data).__name__}, not bytes")
    return data


def first(row: dict[str, Any], keys: Sequence[str]) -> Any:
    """What stands in the first of these columns that is not empty; `Caption` is `caption`."""
    named = {str(name).lower(): value for name, value in row.items()}
    return next((named[key] for key in keys if named.get(key)), None)


def texts(row: dict[str, Any]) -> list[str]:
    found = first(row, CAPTION_KEYS)
    said = found if isinstance(found, list) else [found or ""]
    return [str(text) for text in said if isinstance(text, str | int | float)]


def metadata(row: dict[str, Any], besides: Sequence[str], said: Sequence[str]) -> dict[str, str]:
    """Whatever is neither picture nor `said`, as text by the letters and digits of its name."""
    found, words = dict[str, str](), {one.strip() for one in said}
    for key, value in row.items():
        if not isinstance(key, str) or key.lower() in besides or _says(key, value, words):
            continue
        text, name = _written(value), re.sub(r"\W+", "_", key).strip("_")
        if name and text is not None:
            found[f"original_{name}" if name.lower() in OWN_COLUMNS else name] = text
    return found


def _says(key: str, value: Any, words: set[str]) -> bool:
    """Whether it is a caption, and all of it among these words."""
    return key.lower() in CAPTION_KEYS and {one.strip() for one in texts({key: value})} <= words


def _written(value: Any) -> str | None:
    """A number or words, or a list of such; nothing else has a place in a column of text."""
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, str | int | float) else None
