"""Documents to train tokenizers and a CLIP on: texts in RAM, pictures in a file that is mapped."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from racm3.document import Document, Image, Text, fit
from racm3.retrieval.entry import Entry


def fitted(entries: Iterable[Entry], side: int, folder: Path) -> list[Document]:
    """All of them, in the order of the source, every picture a square of `side` pixels.

    The squares go to a file in `folder` that has no name and is gone with the process, `3 * side **
    2` bytes each; RAM holds some 2 kB a document and its texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts_and_blanks: list[tuple[Text | None, ...]] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for entry in entries:
            for picture in entry.document.images:
                file.write(fit(picture, side).pixels.tobytes())
            parts = entry.document.parts
            texts_and_blanks.append(tuple(p if isinstance(p, Text) else None for p in parts))
        file.flush()
        empty = np.zeros((0, side, side, 3), np.uint8)
        squares = np.memmap(file, np.uint8, "r") if file.tell() else empty
    pictures = map(Image, squares.reshape(-1, side, side, 3))
    return [
        Document(tuple(next(pictures) if part is None else part for part in parts))
        for parts in texts_and_blanks
    ]
