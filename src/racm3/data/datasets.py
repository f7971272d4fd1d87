"""Hugging Face `datasets`: folders that were saved to disk, and data sets streamed by name."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from racm3.data.ahead import Found
from racm3.data.rows import entry_of_row
from racm3.errors import SourceError

HUB = "hub:"


def find_rows(path: Path) -> Iterator[Found]:
    """A `save_to_disk` folder, or `hub:NAME@SPLIT`, which is streamed row by row.

    Pictures keep the bytes they were stored with.
    """
    for number, row in enumerate(_rows(path), start=1):
        name = f"{path}:{number}"
        yield Found(name, partial(entry_of_row, row, name))


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    try:
        import datasets
    except ImportError as error:
        raise SourceError(
            "`datasets` is not installed; `pip install -c constraints.txt racm3[data]`"
        ) from error
    try:
        if str(path).startswith(HUB):
            name, _, split = str(path).removeprefix(HUB).partition("@")
            found = datasets.load_dataset(name, split=split or "train", streaming=True)
        else:
            found = datasets.load_from_disk(str(path))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise SourceError(f"{path} cannot be opened as a data set ({error})") from error
    for column, feature in (found.features or {}).items():
        if isinstance(feature, datasets.Image):
            found = found.cast_column(column, datasets.Image(decode=False))
    return found
