"""A row of some table as a document: which columns are the picture, the words, and the rest."""

from typing import Any

from racm3.document import PLENTY, Document, Image
from racm3.errors import DocumentError
from racm3.retrieval.entry import Entry

CAPTION_KEYS = ("caption", "captions", "text", "txt", "alt", "description")
IMAGE_KEYS = ("image", "jpg", "png", "webp", "bytes")


def entry(data: bytes | None, texts: list[str], source: str, metadata: dict[str, str]) -> Entry:
    """A captioned picture, or text alone; several captions are joined into one text."""
    captions = tuple(text.strip() for text in texts if text.strip())
    parts: list[str | Image] = [" ".join(captions)] if captions else []
    if data is not None:
        parts.append(Image.decode(data, name=source, least=PLENTY))
    document = Document.of(*parts).require_parts()
    return Entry(document, source, metadata, captions=captions)


def entry_of_row(row: dict[str, Any], source: str) -> Entry:
    """A picture column (bytes, or a struct with bytes), a caption column, the rest metadata."""
    return entry(picture_bytes(row), texts(row), source, metadata(row, IMAGE_KEYS))


def picture_bytes(row: dict[str, Any]) -> bytes | None:
    """The picture's bytes, plain or in a struct as `datasets` and Parquet hold them."""
    data = first(row, IMAGE_KEYS)
    data = data.get("bytes") if isinstance(data, dict) else data
    if data is not None and not isinstance(data, bytes):
        raise DocumentError(f"the picture column holds {type(data).__name__}, not bytes")
    return data


def first(row: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((row[key] for key in keys if row.get(key)), None)


def texts(row: dict[str, Any]) -> list[str]:
    found = first(row, CAPTION_KEYS)
    return [str(text) for text in found] if isinstance(found, list) else [str(found or "")]


def metadata(row: dict[str, Any], besides: tuple[str, ...]) -> dict[str, str]:
    """Whatever is neither picture nor caption, as text; names are kept to letters and digits."""
    left_out = {*CAPTION_KEYS, *besides}
    plain = {k: v for k, v in row.items() if k not in left_out and isinstance(v, str | int | float)}
    reserved = {"id": "original_id", "source": "original_source", "group": "original_group"}
    return {reserved.get(k, k).replace(" ", "_"): str(v) for k, v in plain.items()}
