"""Pages, data sets and exchanged memories, against what was put in."""

import io
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image as PIL

from racm3.data.ahead import Tolerance
from racm3.data.sources import read_source
from racm3.document import Document, Image, Text
from racm3.errors import MemoryStoreError, SourceError
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.embedding import embed, unit
from racm3.retrieval.entry import Entry
from racm3.retrieval.exchange import export_memory, restore_memory
from racm3.retrieval.memory import MemoryStore
from tests.conftest import picture


def read(path, most: int = 0):
    return list(read_source(path, Tolerance(most)))


MARKDOWN = """# Fruit

An *apple*.

![a red one](pictures/a%20b.png)

And after it

- one
- two
"""


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "a b.png").write_bytes(picture(1).png())
    (folder / "one.md").write_text(MARKDOWN)
    return folder


def test_a_markdown_page_is_one_interleaved_document(pages):
    (entry,) = read(pages)
    first, image, last = entry.document.parts
    assert first == Text("Fruit\nAn apple.\na red one")
    assert image == picture(1)
    assert last == Text("And after it\none\ntwo")
    assert image.encoded == picture(1).png()


def test_an_html_page_says_the_same(pages, tmp_path):
    html = (
        "<html><head><title>no</title><style>p{}</style></head><body><h1>Fruit</h1>"
        "<p>An <em>apple</em>.</p><img alt='a red one' src='pictures/a%20b.png'>"
        "<p>And after it</p><ul><li>one</li><li>two</li></ul><script>no()</script></body></html>"
    )
    (markdown,) = read(pages)
    (pages / "one.md").unlink()
    (pages / "one.html").write_text(html)
    (entry,) = read(pages)
    assert entry.document == markdown.document


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("https://example.org/a.png", "not a file"),
        ("../../../etc/passwd", "outside"),
        ("none.png", "none.png"),
    ],
)
def test_a_page_reads_nothing_from_elsewhere(pages, source, words):
    (pages / "one.md").write_text(f"words ![x]({source})")
    with pytest.raises(SourceError, match=words):
        read(pages)
    assert read(pages, most=1) == []


@pytest.fixture
def saved(tmp_path):
    buffers = []
    for n in range(3):
        buffer = io.BytesIO()
        PIL.fromarray(picture(n).pixels).save(buffer, format="WEBP", lossless=True)
        buffers.append(buffer.getvalue())
    rows = {
        "image": [{"bytes": one, "path": None} for one in buffers],
        "caption": ["an apple", "a pear", "a plum"],
        "licence": ["cc0", "cc-by", "cc0"],
    }
    made = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    return made, buffers


@pytest.mark.parametrize("streamed", [False, True])
def test_data_sets_are_read_from_disk_or_streamed(saved, tmp_path, streamed):
    made, buffers = saved
    if streamed:
        (tmp_path / "set").mkdir()
        made.to_parquet(str(tmp_path / "set" / "train-0.parquet"))
        found = read(Path(f"hub:{tmp_path}/set@train"))
    else:
        made.save_to_disk(str(tmp_path / "set"))
        found = read(tmp_path / "set")
    assert [one.document.text for one in found] == ["an apple", "a pear", "a plum"]
    assert [one.document.images[0].encoded for one in found] == buffers
    assert found[1].document.images[0] == picture(1)
    assert found[1].metadata == {"licence": "cc-by"}


def test_a_data_set_that_is_not_there_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError, match="cannot be opened"):
        read(Path(f"hub:{tmp_path}/nothing"))


def test_a_memory_goes_to_parquet_and_back_byte_for_byte(encoder, documents, tmp_path):
    store = MemoryStore.create(tmp_path / "one", encoder=encoder.name, dim=encoder.dim)
    entries = [
        Entry(document, f"s{n}", {"licence": "cc0"} if n % 2 else {})
        for n, document in enumerate(documents)
    ]
    store.add(entries, embed(encoder, documents))
    store.remove([1, 4])
    count = export_memory(store, tmp_path / "one.parquet")
    assert count == len(documents) - 2
    again = restore_memory(tmp_path / "one.parquet", tmp_path / "two")
    export_memory(again, tmp_path / "two.parquet")
    assert (tmp_path / "two.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()
    assert again.ids().tolist() == store.ids().tolist() == [0, 2, 3, 5]
    (restored,), (stored,) = (one.entries([3])[0].document.images for one in (again, store))
    assert restored.encoded == stored.encoded != b""
    np.testing.assert_array_equal(again.table().vectors, store.table().vectors)
    assert again.verify() == []
    assert again.add(entries[:1], embed(encoder, documents[:1])) == [6]
    filled = fill_memory(again, entries, encoder)
    assert (filled.added, filled.stay_removed) == (0, 2)
    with pytest.raises(MemoryStoreError, match="already"):
        restore_memory(tmp_path / "one.parquet", tmp_path / "two")


def test_an_export_does_not_tell_in_which_pieces_a_memory_was_filled(tmp_path):
    """Nor in which order its rows lie; an earlier state is exported as it was."""
    documents = [Document.of(f"thing {n}") for n in range(300)]
    vectors = unit(np.random.default_rng(0).normal(size=(300, 4)))

    def filled(name: str, *stops: int) -> MemoryStore:
        store = MemoryStore.create(tmp_path / name, encoder="none", dim=4)
        for start, stop in pairwise((0, *stops, 300)):
            entries = [Entry(one, one.text) for one in documents[start:stop]]
            store.add(entries, vectors[start:stop])
        return store

    def exported(store: MemoryStore) -> bytes:
        export_memory(store, tmp_path / "out.parquet")
        return (tmp_path / "out.parquet").read_bytes()

    whole, pieces = filled("whole"), filled("pieces", 1, 4, 280)
    backwards = MemoryStore.create(tmp_path / "backwards", encoder="none", dim=4)
    rows = [one.take(np.arange(len(one))[::-1]) for one in reversed([*pieces.batches()])]
    backwards.append(rows, rows[0].schema.names, next_id=300)
    assert exported(whole) == exported(pieces) == exported(backwards)
    before = whole.snapshot
    whole.add([Entry(Document.of("late"), "late")], vectors[:1])
    assert exported(whole) != exported(pieces)
    earlier = MemoryStore.open(whole.path, snapshot=before)
    earlier.about["next_id"] = 300  # ids are promised for good, whatever state is looked at
    assert exported(earlier) == exported(pieces)


def test_a_restoring_that_is_stopped_leaves_nothing(encoder, documents, tmp_path, monkeypatch):
    store = MemoryStore.create(tmp_path / "one", encoder=encoder.name, dim=encoder.dim)
    store.add([Entry(document) for document in documents], embed(encoder, documents))
    export_memory(store, tmp_path / "one.parquet")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            restore_memory(tmp_path / "one.parquet", tmp_path / "two")
    assert not (tmp_path / "two").exists()
    assert len(restore_memory(tmp_path / "one.parquet", tmp_path / "two")) == len(documents)


def test_another_parquet_file_is_not_restored(saved, tmp_path):
    saved[0].to_parquet(str(tmp_path / "x.parquet"))
    with pytest.raises(SourceError, match="memory build"):
        restore_memory(tmp_path / "x.parquet", tmp_path / "m")
    assert Image.decode(saved[1][0]) == picture(0)
