"""What a document of the memory is to an encoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racm3.data.sample_world.corpus import memory, scenes
from racm3.data.sample_world.scenes import Chances
from racm3.data.sample_world.things import SHOWN, held_out_things, things
from racm3.document import Document, Text
from racm3.errors import ConfigError, MemoryStoreError
from racm3.evaluation.recall import recalled, table_four
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import AVERAGE, Sides, embed, embed_memory, mix, unit
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.entry import Entry
from racm3.retrieval.exchange import export_memory, restore_memory
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf
from racm3.retrieval.siglip import open_dual
from racm3.runtime import device
from racm3.system import Settings
from racm3.system.parts import sample_folder
from tests.conftest import picture


@pytest.fixture
def looking(encoder: ClipEncoder):
    """The same CLIP, which looks at documents in another way."""

    def make(**how) -> ClipEncoder:
        return ClipEncoder(
            encoder.clip, encoder.tokenizer, encoder.preprocess, name="tiny", sides=Sides(**how)
        )

    return make


@given(st.floats(0, 1))
def test_a_share_moves_along_the_line_between_both_sides(share):
    text, image = unit(np.array([[3.0, 4.0]])), unit(np.array([[4.0, -3.0]]))
    mixed = mix(text * 2, image * 5, share=share)
    np.testing.assert_allclose(mixed @ text.T * (1 - share), mixed @ image.T * share, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(mixed), 1, atol=1e-6)


def test_the_papers_average_is_what_questions_are(encoder: ClipEncoder, documents):
    assert encoder.sides == AVERAGE
    np.testing.assert_array_equal(embed_memory(encoder, documents), embed(encoder, documents))


def test_one_side_alone_needs_no_share(looking, documents):
    for share, kept in (
        (0.0, [d.images[0] for d in documents]),
        (1.0, [d.text for d in documents]),
    ):
        known = embed_memory(looking(text=share), documents)
        alone = [Document.of(part) for part in kept]
        np.testing.assert_allclose(known, embed(looking(), alone), atol=1e-6)
        np.testing.assert_allclose(embed_memory(looking(text=0.3), alone), known, atol=1e-6)


def test_an_only_picture_is_looked_at_in_every_size(looking):
    (shown,) = (Document.of("a cat", picture(3)).in_sizes(SHOWN),)
    one, two = Document.of("a cat", picture(3)), Document.of("a cat", picture(3), picture(4))
    sized = looking(sizes=SHOWN)
    np.testing.assert_allclose(embed_memory(sized, [one]), embed(sized, [shown]), atol=1e-6)
    np.testing.assert_allclose(embed_memory(sized, [two]), embed(sized, [two]), atol=1e-6)
    assert not np.allclose(embed_memory(sized, [one]), embed_memory(looking(), [one]), atol=1e-3)


def test_a_document_is_also_what_its_columns_list(looking):
    listing, document = looking(columns=("keywords", "place")), Document.of("a cat", picture(1))
    told = {"keywords": "feline, cat, at, purr", "place": "Rome", "source": "web"}
    said = Document.of("a cat feline, at, purr, Rome", picture(1))
    vectors = embed_memory(listing, [document], [told])
    np.testing.assert_allclose(vectors, embed(listing, [said]), atol=1e-6)
    plain = embed_memory(listing, [document])
    for nothing in ({}, {"keywords": ""}, {"keywords": "cat"}, {"source": "web"}):
        np.testing.assert_array_equal(embed_memory(listing, [document], [nothing]), plain)
    np.testing.assert_array_equal(embed_memory(looking(), [document], [told]), plain)


def test_a_memory_is_made_of_what_its_columns_list(looking, tmp_path):
    listing = looking(columns=("keywords",))
    store = MemoryStore.create(tmp_path / "m", encoder="tiny", dim=listing.dim, sides=listing.sides)
    document, told = Document.of("a cat", picture(1)), {"keywords": "feline"}
    fill_memory(store, [Entry(document, source="a", metadata=told)], listing)
    (block,) = store.blocks()
    np.testing.assert_allclose(block.vectors, embed_memory(listing, [document], [told]), atol=1e-6)


@given(st.floats(0, 1), st.floats(0.5, 9))
def test_what_a_text_means_is_told_apart_from_its_words(known, weight):
    sides = Sides(words=2, weight=weight)
    meaning, words = np.array([0.6, 0.0, -0.8]), np.array([0.8, 0.6])
    text = unit(np.concatenate([known * meaning, weight * words])[None])
    apart = sides.apart(text)
    np.testing.assert_allclose(apart.known, [known], atol=1e-5)
    np.testing.assert_allclose(apart.words, text[:, 3:])
    if known > 1e-3:
        np.testing.assert_allclose(apart.meaning, [[0.6, 0, -0.8, 0, 0]], atol=1e-4)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 9))
def test_what_a_question_does_not_know_has_little_say(one, other, weight):
    """Meaning beside words: nothing where nothing is known, all of it where all is."""
    sides, meaning, words = (
        Sides(words=2, weight=weight),
        np.array([0.6, -0.8]),
        np.array([0.8, 0.6]),
    )
    less, more = sorted((one, other))
    texts = unit(np.array([[*(k * meaning), *(weight * words)] for k in (0, less, more, 1)]))
    asked = sides.asking(texts)
    np.testing.assert_allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(asked[0], [0, 0, *words], atol=1e-5)
    np.testing.assert_allclose(asked[3], texts[3], atol=1e-5)
    beside = [np.linalg.norm(row[:2]) / np.linalg.norm(row[2:]) for row in asked]
    assert beside[1] <= beside[2] + 1e-5
    assert beside[2] <= more * beside[3] + 1e-5


def test_pictures_ask_as_they_are_and_so_does_all_where_no_words_are_told():
    vectors = unit(np.array([[1.0, 2.0, 2.0, 0.0, 0.0]]))
    for sides in (Sides(words=2, weight=8.0), Sides()):
        np.testing.assert_allclose(sides.asking(vectors), vectors, atol=1e-6)
    assert Sides().asking(vectors) is vectors


def test_pictures_and_encoders_that_tell_no_words_are_all_meaning():
    picture = unit(np.array([[1.0, 2.0, 2.0, 0.0, 0.0]]))
    for sides, told in ((Sides(words=2, weight=8.0), 2), (Sides(), 0)):
        apart = sides.apart(picture)
        np.testing.assert_array_equal(apart.meaning, picture)
        assert (apart.words.shape, apart.known.tolist()) == ((1, told), [1.0])


def test_whoever_searches_by_vectors_asks_so(looking, documents):
    doubting = looking(words=10, weight=0.4)
    known = embed_memory(doubting, documents)
    queries = [document.only(Text) for document in documents]
    said = embed(doubting, queries)
    asked = doubting.sides.asking(said)
    nearest = (asked @ known.T).argmax(axis=1)
    assert (nearest != (said @ known.T).argmax(axis=1)).any(), "or this would show nothing"
    plain = RetrieverConfig(strategy="clip", too_similar=None, two_sided=False)
    retriever = Retriever(doubting, ListShelf(documents, known), plain)
    found = [row[0] for row in retriever.neighbours(queries, 1, rng=np.random.default_rng(0))]
    assert [one.id for one in found] == nearest.tolist()
    np.testing.assert_allclose([n.score for n in found], (asked @ known.T).max(axis=1), atol=1e-5)
    own = range(len(documents))
    right = nearest == np.arange(len(documents))
    np.testing.assert_array_equal(recalled(retriever, queries, own, k=1), right)
    np.testing.assert_array_equal(table_four(doubting, documents, ("text", "document"), k=1), right)


@pytest.mark.parametrize("how", [{"words": -1}, {"weight": 0.0}, {"text": 2.0}, {"sizes": ()}])
def test_impossible_sides_are_refused(how):
    with pytest.raises(ConfigError):
        Sides(**how)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"text": 0.25, "sizes": (1.0, 0.5)},
        {"columns": ("keywords", "place"), "words": 4, "weight": 8.0},
    ],
)
def test_a_folder_says_how_its_encoder_looks(looking, tmp_path, how):
    looking(**how).save(tmp_path / "clip")
    assert (tmp_path / "clip" / "documents.json").exists() == bool(how)
    assert open_dual(tmp_path / "clip").sides == Sides(**how)


@pytest.mark.parametrize("said", ['{"text": 2, "sizes": [1]}', '{"text": 0.5}', '{"sizes": 1}'])
def test_a_folder_that_says_nonsense_is_refused(looking, tmp_path, said):
    looking(text=0.25).save(tmp_path / "clip")
    (tmp_path / "clip" / "documents.json").write_text(said)
    with pytest.raises(ConfigError):
        open_dual(tmp_path / "clip")


def test_documents_looked_at_in_two_ways_do_not_meet_in_a_memory(looking, tmp_path):
    one, other = looking(text=0.25), looking()
    store = MemoryStore.create(tmp_path / "m", encoder="tiny", dim=one.dim, sides=one.sides)
    fill_memory(store, [Entry(Document.of("a", picture(1)), source="a")], one)
    export_memory(store, tmp_path / "m.parquet")
    back = restore_memory(tmp_path / "m.parquet", tmp_path / "back")
    for memory_ in (store, back, MemoryStore.open(tmp_path / "m")):
        assert Sides.of(memory_.about["sides"]) == one.sides
        with pytest.raises(MemoryStoreError, match="build the memory anew"):
            fill_memory(memory_, [Entry(Document.of("b", picture(2)), source="b")], other)
        assert len(memory_) == 1


def test_in_bf16_documents_are_nearly_where_they_are_in_fp32(tmp_path):
    shipped = open_dual(sample_folder() / "clip", device=device("auto"))
    some = [Entry(one, source=str(i)) for i, one in enumerate(memory("all")[:24])]
    tables = []
    for precision in ("fp32", "bf16"):
        store = MemoryStore.create(
            tmp_path / precision, encoder=shipped.name, dim=shipped.dim, sides=shipped.sides
        )
        fill_memory(store, some, shipped, precision=precision)
        tables.append(store.table().vectors)
    exact, near = tables
    assert np.abs(near - exact).max() > 0
    assert (exact * near).sum(axis=1).min() > 0.999
    with pytest.raises(ConfigError, match="'half'"):
        fill_memory(store, [Entry(memory("all")[30], source="30")], shipped, precision="half")


def test_the_shipped_vectors_are_those_of_the_shipped_clip(shipped):
    assert shipped.encoder.sides == Sides(
        text=0.125, sizes=SHOWN, columns=("keywords",), words=96, weight=2.0
    )
    some = list(range(0, 1840, 200))
    vectors = shipped.parts.shelf.rows(some).vectors
    known, listed = zip(
        *((memory("all")[row], things()[row].metadata) for row in some), strict=True
    )
    np.testing.assert_allclose(embed_memory(shipped.encoder, known, listed), vectors, atol=2e-3)


def test_the_shipped_memory_finds_things_in_every_dye(shipped):
    """A leopard that is to be drawn green stands first, and no green heart."""
    asked = scenes(held_out_things(), 60, seed=8, things_each=1, chances=Chances(dyed=1.0))
    right = 0
    for scene, document in asked:
        (first,) = shipped.consult(document.only(Text), Settings(documents=1))
        right += first.document == scene.things[0].document()
    assert right >= 57


def test_the_shipped_clip_finds_things_by_keywords_that_it_never_read(shipped):
    """Alone: no words are counted. Pictures say nothing about words."""
    asked = [(row, one.unsaid) for row, one in enumerate(things()) if len(one.unsaid) > 1]
    rows, queries = zip(*((row, Document.of(" ".join(said))) for row, said in asked), strict=True)
    assert len(rows) > 150
    found = recalled(shipped.library.retriever(), queries, rows, k=1)
    assert found.mean() > 0.6
    others = recalled(shipped.library.retriever(), queries, (*rows[1:], rows[0]), k=1)
    assert others.mean() < 0.05
    seen = shipped.encoder.images([things()[row].on_white(48) for row in rows[:3]])
    assert not seen[:, -shipped.encoder.sides.words :].any()
