"""Where documents come from: folders, pages, COCO captions, img2dataset shards, Parquet, ..."""

import csv
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from racm3.data.ahead import Found, Tolerance, read_ahead
from racm3.data.datasets import HUB, find_rows
from racm3.data.pages import PAGES, UTF8, find_pages, shows_pictures
from racm3.data.rows import CAPTION_KEYS, entry, entry_of_row, first, metadata, texts
from racm3.errors import DocumentError, SourceError
from racm3.retrieval.entry import Entry

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
PICTURES |= {".avif", ".heic", ".heif"}
FILE_KEYS = ("file", "file_name", "filename", "path", "image", "img", "picture", "photo")
SIDECARS = {".jsonl", ".csv"}


def require(path: Path) -> None:
    """Refuse a source that is not there before anything is made of it."""
    if not str(path).startswith(HUB) and not path.exists():
        raise SourceError(f"there is nothing at {path}; give a folder, .json, .tar or .parquet")


def read_source(path: Path, tolerance: Tolerance) -> Iterator[Entry]:
    """Every document of a source, decoded by threads before it is asked for."""
    return (entry for _, entry in read_ahead(find_source(path), tolerance))


def find_source(path: Path) -> Iterator[Found]:
    """The documents of a folder, COCO JSON, tar shard, Parquet or text file, told by its name."""
    require(path)
    if str(path).startswith(HUB) or (path / "dataset_info.json").exists():
        yield from find_rows(path)
        return
    readers: dict[str, Callable[[Path], Iterator[Found]]] = {
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
        files = [] if shards or sidecars else sorted(_visible(path))
        pages = [p for p in files if p.suffix.lower() in PAGES]
        pictures = [p for p in files if p.suffix.lower() in PICTURES]
        for one in shards or sidecars:
            yield from readers[one.suffix](one)
        # Beside pictures that no page shows, a page is a README.
        if pages and (not pictures or any(map(shows_pictures, pages))):
            yield from find_pages(path, pages)
        elif not shards and not sidecars:
            yield from _folder(path, pictures, files)
    elif path.suffix.lower() in PAGES:
        yield from find_pages(path.parent, [path])
    elif path.suffix in readers:
        yield from readers[path.suffix](path)
    else:
        raise SourceError(
            f"{path} is not a known kind of source; "
            "give a folder, a COCO .json, a .jsonl or .csv, a .tar shard, a .parquet or a .txt file"
        )


def _visible(folder: Path) -> Iterator[Path]:
    """All files in it and below; what a system hides there (`.thumbnails`, `._IMG_1.jpg`) is not
    the user's."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _folder(path: Path, pictures: Sequence[Path], files: Sequence[Path]) -> Iterator[Found]:
    """Pictures, each with a caption of the same name ending in .txt beside it, or its own one."""
    words = {p.with_suffix(""): p for p in files if p.suffix.lower() == ".txt"}
    if not pictures and not words:
        raise SourceError(f"{path} holds no pictures (.png, .jpg, .webp, ...) and no .txt files")
    for picture in pictures:
        caption = words.get(picture.with_suffix(""))
        yield Found(str(picture), partial(_captioned, picture, caption))
    shown = {picture.with_suffix("") for picture in pictures}
    for alone in (place for name, place in words.items() if name not in shown):
        yield Found(str(alone), partial(_captioned, None, alone))


def _captioned(picture: Path | None, caption: Path | None) -> Entry:
    data = picture.read_bytes() if picture else None
    said = [caption.read_text(encoding=UTF8)] if caption else []
    return entry(data, said, str(picture or caption), {})


def _lines(path: Path) -> Iterator[Found]:
    """Words alone, a document a line."""
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                name = f"{path}:{number}"
                yield Found(name, partial(entry, None, [line], name, {}))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding=UTF8, newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from error
    except csv.Error as error:
        raise SourceError(f"{path} is not a table that can be read ({error})") from error


def _sidecar(path: Path) -> Iterator[Found]:
    """One line a picture: a file name, a caption, and any further columns as metadata."""
    with _opened(path) as stream:
        rows: Iterator[Any]
        rows = _table(path, stream) if path.suffix == ".csv" else map(_json_line, stream)
        for number, row in enumerate(rows, start=1):
            name = f"{path}:{number}"
            yield Found(name, partial(_beside, path, row, name))


def _table(path: Path, stream: TextIO) -> Iterator[dict[str, Any]]:
    """Rows of a CSV file, whose columns are divided by what its first line has most of."""
    header = stream.readline()
    stream.seek(0)
    table = csv.DictReader(stream, delimiter=max(",;\t", key=header.count))
    known = (*FILE_KEYS, *CAPTION_KEYS)
    if not set(known) & {name.lower() for name in table.fieldnames or ()}:
        raise SourceError(
            f"{path} has the columns {', '.join(table.fieldnames or ())}; for a document one of "
            f"{', '.join(known)} is needed"
        )
    return table


def _beside(path: Path, row: Any, name: str) -> Entry:
    if not isinstance(row, dict):
        raise SourceError("the line is not a JSON object")
    file = first(row, FILE_KEYS)
    data = (path.parent / str(file)).read_bytes() if file else None
    said = texts(row)
    return entry(data, said, name, metadata(row, FILE_KEYS, said))


def _json_line(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _coco(path: Path) -> Iterator[Found]:
    """COCO captions: pictures lie beside the JSON, in `images` beside it, or as COCO unpacks, in
    `val2017` next to the folder of `captions_val2017.json`."""
    try:
        values = json.loads(path.read_text(encoding=UTF8))
        images = [(one["id"], one["file_name"]) for one in values["images"]]
        captions: dict[Any, list[str]] = {}
        for one in values["annotations"]:
            captions.setdefault(one["image_id"], []).append(one["caption"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} is not COCO captions JSON ({error!r}); `images` and `annotations` are expected"
        ) from error
    split = path.stem.rpartition("_")[2]
    places = [path.parent, path.parent / "images", path.parent.parent / split]
    for id_, file in images:
        name = f"{path}#{id_}"
        yield Found(name, partial(_noted, places, file, captions.get(id_, []), name))


def _noted(places: Sequence[Path], file: str, said: list[str], name: str) -> Entry:
    found = [place / file for place in places if (place / file).exists()]
    if not found:
        raise DocumentError(f"there is no {file} in {', '.join(map(str, places))}")
    return entry(found[0].read_bytes(), said, name, {})


def _tar(path: Path) -> Iterator[Found]:
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
                    yield _sample(f"{path}#{last}", waiting)
                    waiting = {}
                last = stem
                stream = shard.extractfile(member)
                waiting[suffix.lower()] = stream.read() if stream else b""
            if waiting:
                yield _sample(f"{path}#{last}", waiting)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"{path} is a damaged tar shard ({error}); download it again") from error


def _sample(name: str, files: dict[str, bytes]) -> Found:
    def read() -> Entry:
        data = next((files[s[1:]] for s in sorted(PICTURES) if s[1:] in files), None)
        values = json.loads(files["json"]) if "json" in files else {}
        if not isinstance(values, dict):
            raise DocumentError("its .json is not a JSON object")
        said = [files["txt"].decode()] if "txt" in files else texts(values)
        return entry(data, said, name, metadata(values, (), said))

    return Found(name, read)


def _parquet(path: Path) -> Iterator[Found]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is not a readable Parquet file ({error})") from error
    rows = (row for batch in file.iter_batches(256) for row in batch.to_pylist())
    for number, row in enumerate(rows, start=1):
        name = f"{path}:{number}"
        yield Found(name, partial(entry_of_row, row, name))
