"""Where documents come from: folders, pages, COCO captions, img2dataset shards, Parquet, ..."""

import csv
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from racm3.data.datasets import HUB, read_dataset
from racm3.data.pages import PAGES, read_pages
from racm3.data.rows import IMAGE_KEYS, Tolerance, entry, first, metadata, picture_bytes, texts
from racm3.errors import DocumentError, SourceError
from racm3.retrieval.memory import Entry

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
FILE_KEYS = ("file", "file_name", "filename", "path", "image")
SIDECARS = {".jsonl", ".csv"}


def require(path: Path) -> None:
    """Refuse a source that is not there before anything is made of it."""
    if not str(path).startswith(HUB) and not path.exists():
        raise SourceError(f"there is nothing at {path}; give a folder, .json, .tar or .parquet")


def read_source(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """Every document of a folder, COCO JSON, tar shard, Parquet or text file, told by its name."""
    require(path)
    if str(path).startswith(HUB) or (path / "dataset_info.json").exists():
        yield from read_dataset(path, tolerance)
        return
    readers: dict[str, Callable[[Path, Tolerance], Iterator[Entry]]] = {
        ".json": _coco,
        ".tar": _tar,
        ".parquet": _parquet,
        ".txt": _lines,
        ".jsonl": _sidecar,
        ".csv": _sidecar,
    }
    if path.is_dir():
        shards = sorted([*path.glob("*.tar"), *path.glob("*.parquet")])
        sidecars = sorted(p for p in path.iterdir() if p.suffix in SIDECARS)
        pages = sorted(p for p in path.rglob("*") if p.suffix.lower() in PAGES)
        for one in shards or sidecars:
            yield from readers[one.suffix](one, tolerance)
        if not shards and not sidecars and pages:
            yield from read_pages(path, pages, tolerance)
        elif not shards and not sidecars:
            yield from _folder(path, tolerance)
    elif path.suffix.lower() in PAGES:
        yield from read_pages(path.parent, [path], tolerance)
    elif path.suffix in readers:
        yield from readers[path.suffix](path, tolerance)
    else:
        raise SourceError(
            f"{path} is not a known kind of source; "
            "give a folder, a COCO .json, a .jsonl or .csv, a .tar shard, a .parquet or a .txt file"
        )


def _folder(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """Pictures, each with a caption of the same name ending in .txt beside it (or none)."""
    pictures = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES)
    alone = sorted(
        p for p in path.rglob("*.txt") if not any(p.with_suffix(s).exists() for s in PICTURES)
    )
    if not pictures and not alone:
        raise SourceError(f"{path} holds no pictures (.png, .jpg, .webp, ...) and no .txt files")
    for picture in [*pictures, *alone]:
        try:
            caption = picture.with_suffix(".txt")
            said = [caption.read_text(encoding="utf-8")] if caption.exists() else []
            data = picture.read_bytes() if picture not in alone else None
            yield entry(data, said, str(picture), {})
        except (DocumentError, OSError, UnicodeDecodeError) as error:
            tolerance.refuse(str(picture), error)


def _lines(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """Words alone, a document a line."""
    with path.open(encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield entry(None, [line], f"{path}:{number}", {})
        except UnicodeDecodeError as error:
            raise SourceError(f"{path} is not UTF-8 text ({error})") from error


def _sidecar(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """One line a picture: a file name, a caption, and any further columns as metadata."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows: Iterator[Any]
        rows = csv.DictReader(stream) if path.suffix == ".csv" else map(_json_line, stream)
        for number, row in enumerate(rows, start=1):
            name = f"{path}:{number}"
            try:
                if not isinstance(row, dict):
                    raise SourceError("the line is not a JSON object")
                file = first(row, FILE_KEYS)
                data = (path.parent / str(file)).read_bytes() if file else None
                yield entry(data, texts(row), name, metadata(row, FILE_KEYS))
            except (DocumentError, SourceError, OSError) as error:
                tolerance.refuse(name, error)


def _json_line(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _coco(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """COCO captions: pictures lie beside the JSON, or in a folder `images` beside it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        images, annotations = values["images"], values["annotations"]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} is not COCO captions JSON ({error!r}); `images` and `annotations` are expected"
        ) from error
    captions: dict[Any, list[str]] = {}
    for annotation in annotations:
        captions.setdefault(annotation["image_id"], []).append(annotation["caption"])
    for image in images:
        name = f"{path}#{image['id']}"
        places = [path.parent / folder / image["file_name"] for folder in ("", "images")]
        try:
            found = next((place for place in places if place.exists()), places[0])
            yield entry(found.read_bytes(), captions.get(image["id"], []), name, {})
        except (DocumentError, OSError) as error:
            tolerance.refuse(name, error)


def _tar(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """WebDataset as img2dataset writes it: key.jpg, key.txt and key.json, one after the other."""
    waiting: dict[str, bytes] = {}
    last = ""
    try:
        with tarfile.open(path) as shard:
            for member in shard:
                if not member.isfile():
                    continue
                stem, _, suffix = member.name.rpartition(".")
                if stem != last and waiting:
                    yield from _tar_sample(path, last, waiting, tolerance)
                    waiting = {}
                last = stem
                stream = shard.extractfile(member)
                waiting[suffix.lower()] = stream.read() if stream else b""
            if waiting:
                yield from _tar_sample(path, last, waiting, tolerance)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"{path} is a damaged tar shard ({error}); download it again") from error


def _tar_sample(
    path: Path, key: str, files: dict[str, bytes], tolerance: Tolerance
) -> Iterator[Entry]:
    name = f"{path}#{key}"
    try:
        data = next((files[s[1:]] for s in sorted(PICTURES) if s[1:] in files), None)
        values = json.loads(files["json"]) if "json" in files else {}
        said = [files["txt"].decode()] if "txt" in files else texts(values)
        yield entry(data, said, name, metadata(values, ()))
    except (DocumentError, ValueError) as error:
        tolerance.refuse(name, error)


def _parquet(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """A picture column (bytes, or a struct with bytes), a caption column, the rest metadata."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is not a readable Parquet file ({error})") from error
    number = 0
    for batch in file.iter_batches(256):
        for row in batch.to_pylist():
            number += 1
            name = f"{path}:{number}"
            try:
                data = picture_bytes(row)
                yield entry(data, texts(row), name, metadata(row, IMAGE_KEYS))
            except (DocumentError, TypeError) as error:
                tolerance.refuse(name, error)
