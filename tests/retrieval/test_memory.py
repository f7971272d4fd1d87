from dataclasses import replace

import numpy as np
import pytest

from racm3.data.ahead import Found
from racm3.document import Document, Image
from racm3.errors import MemoryStoreError
from racm3.recipes import remembering
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import embed, unit
from racm3.retrieval.memory import Entry, MemoryStore
from racm3.retrieval.notes import Known
from racm3.retrieval.retriever import Retriever
from racm3.runtime import dice
from tests.conftest import picture


def entries(count: int, start: int = 0) -> list[Entry]:
    return [
        Entry(
            Document.of(f"SECRETWORD{i}X", picture(i)),
            source=f"file-{i}",
            metadata={"licence": "cc-by" if i % 2 else "cc0"},
        )
        for i in range(start, start + count)
    ]


def some_vectors(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, 8)))


@pytest.fixture
def store(tmp_path) -> MemoryStore:
    made = MemoryStore.create(tmp_path / "memory", encoder="test", dim=8)
    made.add(entries(6), some_vectors(6))
    return made


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_sources_are_known_as_a_set_knows_them(count):
    told = {f"shard-{i % 7}.tar/{i}.jpg" for i in range(0, 2 * count, 2)}
    known = Known(told)
    for i in range(2 * count + 1):
        assert (f"shard-{i % 7}.tar/{i}.jpg" in known) == (f"shard-{i % 7}.tar/{i}.jpg" in told)
    assert "" not in known
    assert "" in Known([*told, ""])


def test_what_goes_in_comes_out(store):
    opened = MemoryStore.open(store.path)
    assert [e.document for e in opened.entries(range(6))] == [e.document for e in entries(6)]
    assert [e.metadata for e in opened.entries([3, 0])] == [
        {"licence": "cc-by"},
        {"licence": "cc0"},
    ]
    table = opened.table()
    assert table.ids.tolist() == list(range(6))
    np.testing.assert_allclose(table.vectors, some_vectors(6), atol=1e-6)
    assert opened.verify() == []


def test_a_filter_comes_before_the_search(store):
    assert store.table("licence = 'cc-by'").ids.tolist() == [1, 3, 5]
    with pytest.raises(MemoryStoreError, match=r"cannot be used .* columns .*licence"):
        store.table("colour = 'red'")


def test_texts_and_metadata_are_read_without_pictures(store, monkeypatch):
    monkeypatch.setattr(Image, "decode", None)
    assert store.columns == ["licence"]
    assert store.texts("id > 3") == {4: "SECRETWORD4X", 5: "SECRETWORD5X"}
    assert store.texts("id > 3", "licence") == {4: "cc0", 5: "cc-by"}
    assert store.texts(column="nothing") == {}
    store.add([Entry(Document.of("words"), metadata={"museum": "here"})], some_vectors(1))
    assert store.texts("id > 4", "museum") == {5: "", 6: "here"}


def test_a_removed_document_is_gone_from_every_file(store):
    before = store.snapshot
    assert store.remove([2, 4]) == 2
    assert store.table().ids.tolist() == [0, 1, 3, 5]
    data = b"".join(p.read_bytes() for p in store.path.rglob("*") if p.is_file())
    assert b"SECRETWORD3X" in data
    assert b"SECRETWORD2X" not in data
    assert picture(2).png() not in data
    assert store.verify() == []
    with pytest.raises(MemoryStoreError, match="there is no document 2"):
        store.documents([2])
    with pytest.raises(MemoryStoreError, match=f"snapshot {before}"):
        MemoryStore.open(store.path, snapshot=before)


def test_verify_notices_remains_of_removed_documents(store):
    store._table.delete("id = 1")
    assert "still hold removed documents" in store.verify()[0]


def test_an_id_is_never_used_again(store):
    store.remove([5])
    assert store.add(entries(1, 9), some_vectors(1)) == [6]
    reopened = MemoryStore.open(store.path)
    reopened.remove([6])
    assert MemoryStore.open(store.path).add(entries(1, 10), some_vectors(1)) == [7]


def test_an_earlier_snapshot_can_be_read_but_not_changed(store):
    version = store.snapshot
    store.add(entries(2, 6), some_vectors(2))
    earlier = MemoryStore.open(store.path, snapshot=version)
    assert (len(earlier), len(MemoryStore.open(store.path))) == (6, 8)
    with pytest.raises(MemoryStoreError, match="read-only"):
        earlier.add(entries(1, 9), some_vectors(1))


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.ones((1, 5), np.float32), "vectors of 8 numbers"),
        (np.full((1, 8), np.nan, np.float32), "NaN"),
        (np.ones((1, 8), np.float32), "must have length 1 but one has 2.828"),
    ],
)
def test_wrong_vectors_change_nothing(store, vectors, words):
    with pytest.raises(MemoryStoreError, match=words):
        store.add(entries(1, 7), vectors)
    assert len(MemoryStore.open(store.path)) == 6


def test_new_metadata_becomes_a_column(store):
    store.add([Entry(Document.of("words"), metadata={"museum": "here"})], some_vectors(1))
    assert store.table("museum = 'here'").ids.tolist() == [6]
    with pytest.raises(MemoryStoreError, match="may not be called 'vector'"):
        store.add([Entry(Document.of("x"), metadata={"vector": "1"})], some_vectors(1))


def test_same_picture_same_group(store):
    twin = Entry(Document.of("another caption", picture(0)))
    store.add([twin], some_vectors(1))
    groups = store.table().groups
    assert groups[6] == groups[0]
    assert len(set(groups)) == 6


def test_filling_again_adds_only_what_is_new(store):
    filled = fill_memory(store, entries(9), vectors=some_vectors(9))
    assert (filled.added, filled.already_there) == (3, 6)


def test_what_is_there_or_was_removed_is_not_opened(store):
    """A million documents that were added before a crash are not decoded once more."""

    def found(number: int, entry: Entry) -> Found:
        return Found(entry.source, entry.read if number == 6 else unreadable)

    def unreadable() -> Entry:
        raise AssertionError("opened")

    store.remove([1])
    some = [found(number, entry) for number, entry in enumerate(entries(7))]
    filled = fill_memory(store, some, vectors=some_vectors(7))
    assert (filled.added, filled.already_there, filled.stay_removed) == (1, 5, 1)
    assert store.entries([6])[0].source == "file-6"


def test_vectors_are_those_of_the_documents_they_were_given_for(store):
    """However many before them are there already."""
    store.remove([1])
    fill_memory(store, entries(9), vectors=some_vectors(9))
    table = store.table()
    assert table.ids.tolist() == [0, 2, 3, 4, 5, 6, 7, 8]
    np.testing.assert_allclose(table.vectors[-3:], some_vectors(9)[6:], atol=1e-6)


def test_what_was_removed_stays_away_until_it_is_asked_for_again(store):
    store.remove([1, 4])
    again = fill_memory(MemoryStore.open(store.path), entries(6), vectors=some_vectors(6))
    assert (again.added, again.already_there, again.stay_removed) == (0, 4, 2)
    assert "file-1" not in (store.path / "removed.json").read_text()
    back = fill_memory(store, entries(6), vectors=some_vectors(6), again=True)
    assert (back.added, back.already_there, back.stay_removed) == (2, 4, 0)
    assert store.ids().tolist() == [0, 2, 3, 5, 6, 7]


def test_documents_of_no_source_are_not_confused_with_removed_ones(store):
    (id_,) = store.add([Entry(Document.of("on the page"))], some_vectors(1))
    store.remove([id_])
    unnamed = [Entry(Document.of("something else"))]
    assert fill_memory(store, unnamed, vectors=some_vectors(1)).added == 1


def test_a_large_memory_is_written_in_large_batches(tmp_path):
    """Every batch is a file and a snapshot, and every snapshot lists all files."""
    count = 6000
    store = MemoryStore.create(tmp_path / "memory", encoder="test", dim=8)
    words = (Entry(Document.of(f"word{i}"), source=str(i)) for i in range(count))
    fill_memory(store, words, vectors=some_vectors(count))
    assert store.ids().tolist() == list(range(count))
    first = 2048 // 64
    assert first < len(store.snapshots()) < first + 32 * np.log(count / 2048) + 5


def test_large_pictures_are_written_a_few_at_a_time(monkeypatch):
    """However many documents there are: a batch is held in RAM."""
    monkeypatch.setattr(remembering, "PIXELS", 100 * picture(0).pixels.nbytes)
    large = Entry(Document.of(picture(0)))
    stream = iter([(remembering.Fresh(n, "", large.read), large) for n in range(400)])
    assert [len(remembering._batch(stream, 1000)) for _ in range(5)] == [100, 100, 100, 100, 0]
    small = Entry(Document.of("word"))
    stream = iter([(remembering.Fresh(n, "", small.read), small) for n in range(400)])
    assert [len(remembering._batch(stream, 300)) for _ in range(2)] == [300, 100]


def test_a_memory_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(MemoryStoreError, match="racm3 memory build"):
        MemoryStore.open(tmp_path)


def test_a_damaged_picture_is_found_by_verify(store):
    broken = Entry(Document.of("x", replace(picture(8), encoded=b"not a picture")))
    store.add([broken], some_vectors(1))
    assert "document 6 cannot be read" in store.verify()[0]


@pytest.mark.parametrize("strategy", ["clip", "random", "bm25"])
def test_a_memory_that_does_not_fit_is_searched_from_disk_alike(tmp_path, encoder, strategy):
    store = MemoryStore.create(tmp_path / "m", encoder="tiny", dim=encoder.dim)
    made = entries(9)
    for some in (made[:5], made[5:]):
        store.add(some, embed(encoder, [entry.document for entry in some]))
    queries = [Document.of("words"), *(entry.document for entry in made[:4])]
    if strategy == "bm25":
        queries = queries[:1]
    found = []
    for gigabytes in (1.0, 0.0):
        config = RetrieverConfig(strategy=strategy, resident_gb=gigabytes)
        retriever = Retriever(encoder, store, config, where="licence = 'cc0'")
        assert (retriever.resident is None) == (gigabytes == 0)
        found.append(retriever.neighbours(queries, 3, rng=dice(1)))
    assert [[n.id for n in one] for one in found[0]] == [[n.id for n in one] for one in found[1]]
    assert {n.id % 2 for one in found[0] for n in one} == {0}
    for one, other in zip(*found, strict=True):
        assert [n.score for n in one] == pytest.approx([n.score for n in other], abs=1e-6)
