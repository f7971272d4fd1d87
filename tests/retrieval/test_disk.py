"""Searching by an index on disk, against looking at everything."""

import numpy as np
import pytest

from racm3.document import Document
from racm3.errors import ConfigError, MemoryStoreError
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.disk import FEWEST, DiskIndex, found_share
from racm3.retrieval.embedding import embed, unit
from racm3.retrieval.index import ExactIndex
from racm3.retrieval.lexical import BM25
from racm3.retrieval.memory import Entry, MemoryStore
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice

COUNT, DIM = 2200, 16
COLOURS = ("red", "green", "blue", "grey")


def entry(number: int) -> Entry:
    text = f"the {COLOURS[number % 4]} thing word{number}"
    return Entry(Document.of(text), source=str(number), metadata={"half": str(number % 2)})


def some_vectors(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, DIM)))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> MemoryStore:
    made = MemoryStore.create(tmp_path_factory.mktemp("disk") / "m", encoder="test", dim=DIM)
    made.add([entry(n) for n in range(COUNT)], some_vectors(COUNT))
    made.index(partitions=8, code_bytes=8)
    return made


@pytest.fixture
def store(built, tmp_path) -> MemoryStore:
    """One that may be changed."""
    import shutil

    shutil.copytree(built.path, tmp_path / "m")
    return MemoryStore.open(tmp_path / "m")


def nearest(store: MemoryStore, queries: np.ndarray, where: str | None = None):
    """Every partition looked into, as many scored exactly as there are."""
    return store.vector_index(where, probes=8, refine=100).search(queries, 10)


@pytest.mark.parametrize("where", [None, "half = '1'"])
def test_who_looks_everywhere_finds_what_is_nearest(built, where):
    queries = some_vectors(20, seed=1)
    table = built.table(where)
    right = ExactIndex.of(table.ids, table.vectors).search(queries, 10)
    found = nearest(built, queries, where)
    assert found.ids.tolist() == right.ids.tolist()
    np.testing.assert_allclose(found.scores, right.scores, atol=1e-5)
    one = nearest(built, queries[:1], where)
    assert one.ids.tolist() == right.ids[:1].tolist()


def test_fewer_probes_find_less_and_say_how_much(built):
    def found(probes: int, candidates: int) -> float:
        return found_share(built, probes=probes, refine=1, candidates=candidates)

    assert found(1, 64) < found(8, 64)
    assert found(8, 10) < found(8, 64) == 1


def test_words_find_what_shares_them_and_nothing_else(built):
    found = built.word_index().search(["the word17", "a green thing", "nothing of it"], 5)
    assert found.ids[0].tolist() == [17, -1, -1, -1, -1]
    assert {i % 4 for i in found.ids[1].tolist()} == {1}
    assert (found.ids[2] == -1).all()
    filtered = built.word_index("half = '0'").search(["green", "red"], COUNT)
    assert (filtered.ids >= 0).sum(axis=1).tolist() == [0, COUNT / 4]


def test_words_of_metadata_are_found_and_count_beside_the_texts(store):
    store.index(partitions=8, code_bytes=8, columns=["half"])
    texts, asked = store.texts(), ["green 1", "word17 1", "0"]
    fields = [BM25(list(said.values())) for said in (texts, store.texts(column="half"))]
    for query, ids, scores in zip(asked, *store.word_index(None, ["half"]).search(asked, COUNT),
                                  strict=True):  # fmt: skip
        right = sum(field.scores(query) for field in fields)
        assert {*np.flatnonzero(right)} == {*ids[ids >= 0].tolist()}
        np.testing.assert_allclose(scores[ids >= 0], right[ids[ids >= 0]], rtol=1e-4)
    with pytest.raises(MemoryStoreError, match="the metadata has no column 'nothing'"):
        store.index(columns=["nothing"])


@pytest.mark.parametrize("stems", [False, True])
def test_words_weigh_as_bm25_weighs_them(tmp_path, stems):
    rng = np.random.default_rng(4)
    known = [f"{word}{end}" for word in ("cat", "jump", "paint", "sail") for end in ("", "s")]
    known += ["running", "painted", "sailing", *(f"w{n}" for n in range(50))]
    texts = [" ".join(rng.choice(known, size=rng.integers(1, 12))) for _ in range(300)]
    store = MemoryStore.create(tmp_path / "m", encoder="test", dim=DIM)
    store.add([Entry(Document.of(text), source=text) for text in texts], some_vectors(300))
    store.index(stems=stems)
    asked = ["w3 w17", "w5 w5 w8", "the w40", "cats jumping", "a sail painted"]
    for ours, theirs in zip(
        BM25(texts, stems=stems).search(asked, 20).scores,
        store.word_index().search(asked, 20).scores,
        strict=True,
    ):
        shared = ours > 0
        np.testing.assert_allclose(theirs[shared], ours[shared], rtol=1e-4)


def test_what_came_later_is_found_and_what_was_removed_is_not(store):
    query = some_vectors(1, seed=7)
    (late,) = store.add([entry(COUNT)], query)
    assert nearest(store, query).ids[0, 0] == late
    assert store.word_index().search([f"word{COUNT}"], 1).ids.tolist() == [[late]]
    gone = some_vectors(COUNT)[[5]]
    assert nearest(store, gone).ids[0, 0] == 5
    store.remove([5, late])
    assert not {5, late} & set(nearest(store, np.concatenate([gone, query])).ids.ravel().tolist())
    assert (store.word_index().search(["word5", f"word{COUNT}"], 1).ids == -1).all()
    assert {late, 5}.isdisjoint(nearest(MemoryStore.open(store.path), gone).ids.ravel().tolist())
    data = b"".join(p.read_bytes() for p in store.path.rglob("*") if p.is_file())
    assert some_vectors(COUNT)[6].tobytes() in data
    assert gone.tobytes() not in data


def test_an_index_lists_no_word_of_a_removed_document(store):
    from lance.file import LanceFileReader

    def words() -> int:
        files = store.path.rglob("*tokens.lance")
        tables = [LanceFileReader(str(path)).read_all().to_table() for path in files]
        return sum(table["_token_next_id"].to_pylist()[0] for table in tables)

    before = words()
    store.remove([5])
    assert words() == before - 1


def test_an_earlier_snapshot_keeps_its_index(store):
    before, query = store.snapshot, some_vectors(1, seed=7)
    store.add([entry(COUNT)], query)
    earlier = MemoryStore.open(store.path, snapshot=before)
    assert COUNT not in nearest(earlier, query).ids
    with pytest.raises(MemoryStoreError, match="read-only"):
        earlier.index()


def test_a_retriever_answers_alike_from_either(tmp_path, encoder):
    texts = [f"a {colour} thing number {n}" for n in range(70) for colour in COLOURS]
    documents = [Document.of(text) for text in texts]
    vectors = embed(encoder, documents)
    store = MemoryStore.create(tmp_path / "m", encoder=encoder.name, dim=encoder.dim)
    for some in (range(200), range(200, len(documents))):
        store.add([Entry(documents[n], source=texts[n]) for n in some], vectors[some])
    store.index()
    assert len(store._table.to_lance().get_fragments()) == 1
    queries = [Document.of("a red thing"), Document.of("number 17"), Document.of("a green 3")]

    def found(search: str, strategy: str) -> list[set[int]]:
        config = RetrieverConfig(
            search=search, strategy=strategy, probes=4, refine=100, too_similar=None, candidates=300
        )
        retriever = Retriever(encoder, store, config)
        assert not retriever.empty
        return [{n.id for n in one} for one in retriever.neighbours(queries, 4, rng=dice(0))]

    for strategy in ("clip", "bm25", "hybrid"):
        exact, indexed = found("exact", strategy), found("indexed", strategy)
        assert exact == indexed if strategy == "clip" else exact[1] == indexed[1]
    retriever = Retriever(encoder, store, RetrieverConfig(search="indexed"))
    assert isinstance(retriever.index, DiskIndex)
    assert retriever.resident is None


def test_what_cannot_be_indexed_says_why(tmp_path, encoder, shelf):
    small = MemoryStore.create(tmp_path / "m", encoder="test", dim=DIM)
    small.add([entry(n) for n in range(5)], some_vectors(5))
    with pytest.raises(MemoryStoreError, match=f"5 documents .* for {FEWEST} and more"):
        small.index()
    with pytest.raises(MemoryStoreError, match="make one with `racm3 memory index`"):
        small.vector_index(probes=1, refine=1)
    small.add([entry(n) for n in range(5, 300)], some_vectors(295, seed=3))
    with pytest.raises(MemoryStoreError, match="16 numbers cannot be cut into 7"):
        small.index(code_bytes=7)
    with pytest.raises(MemoryStoreError, match="choose at most 1"):
        small.index(partitions=2)
    listed = Retriever(encoder, shelf, RetrieverConfig(search="indexed"))
    assert isinstance(shelf, ListShelf)
    with pytest.raises(ConfigError, match="has no index; leave `search: indexed` out"):
        listed.neighbours([Document.of("a cat")], 1, rng=dice(0))
