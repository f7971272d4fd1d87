"""What tokenizers and a CLIP are trained on: squares of the pictures, in a file and not in RAM."""

import mmap

import numpy as np
import pytest

from racm3.data.fitted import fitted
from racm3.document import Document, Image, Text, fit
from racm3.retrieval.entry import Entry


def noise(height: int, width: int) -> Image:
    drawn = np.random.default_rng(height * width).integers(0, 256, (height, width, 3))
    return Image(drawn.astype(np.uint8))


MIXED = [
    Document.of("a tall one", noise(40, 20)),
    Document.of("words alone"),
    Document.of(noise(16, 16)),
    Document.of("before", noise(9, 31), "between", noise(64, 64), "after"),
    Document(()),
]


def entries(documents: list[Document]) -> list[Entry]:
    return [Entry(one, f"made up {n}") for n, one in enumerate(documents)]


def test_every_part_stays_where_it_was_and_pictures_become_squares(tmp_path):
    found = fitted(iter(entries(MIXED)), 16, tmp_path)
    expected = [
        Document(tuple(p if isinstance(p, Text) else fit(p, 16) for p in one.parts))
        for one in MIXED
    ]
    assert found == expected


def test_pixels_are_mapped_and_the_file_has_no_name(tmp_path):
    *_, last = (d.images[0].pixels for d in fitted(entries(MIXED), 16, tmp_path) if d.images)
    while isinstance(last.base, np.ndarray):
        last = last.base
    assert isinstance(last.base, mmap.mmap)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("documents", [[], [Document.of("words"), Document.of("alone")]])
def test_without_pictures_there_are_the_texts(tmp_path, documents):
    assert fitted(entries(documents), 16, tmp_path) == documents
