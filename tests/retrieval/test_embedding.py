"""What a document of the memory is to an encoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racm3.data.sample_world.corpus import memory, scenes
from racm3.data.sample_world.scenes import Chances
from racm3.data.sample_world.things import SHOWN, held_out_things
from racm3.document import Document, Text
from racm3.errors import ConfigError, MemoryStoreError
from racm3.recipes.collection import fill_memory
from racm3.retrieval.embedding import AVERAGE, Sides, embed, embed_memory, mix, unit
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.entry import Entry
from racm3.retrieval.exchange import export_memory, restore_memory
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.siglip import open_dual
from racm3.system import RACM3, Settings
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


@pytest.mark.parametrize("how", [{}, {"text": 0.25, "sizes": (1.0, 0.5)}])
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


def test_the_shipped_vectors_are_those_of_the_shipped_clip():
    system = RACM3.open("sample", device="cpu")
    assert system.encoder.sides == Sides(text=0.125, sizes=SHOWN)
    some = list(range(0, 1840, 200))
    shipped = system.parts.shelf.rows(some).vectors
    known = [memory("all")[row] for row in some]
    np.testing.assert_allclose(embed_memory(system.encoder, known), shipped, atol=2e-3)


def test_the_shipped_memory_finds_things_in_every_dye():
    """A leopard that is to be drawn green stands first, and no green heart."""
    system = RACM3.open("sample", device="cpu")
    asked = scenes(held_out_things(), 60, seed=8, things_each=1, chances=Chances(dyed=1.0))
    right = 0
    for scene, document in asked:
        (first,) = system.consult(document.only(Text), Settings(documents=1))
        right += first.document == scene.things[0].document()
    assert right >= 57
