"""How documents are read: in the sizes that a generator knows."""

from dataclasses import replace

import numpy as np
import pytest

from racm3.data.ahead import Tolerance
from racm3.data.sample_world.things import SHOWN, held_out_things
from racm3.data.sources import read_source
from racm3.document import Document, Image
from racm3.errors import ConfigError
from racm3.evaluation.invented import invented_things, recognised
from racm3.evaluation.perplexity import document_losses
from racm3.generation.engine import Engine
from racm3.recipes.study.worlds import finished
from racm3.retrieval.embedding import embed
from racm3.retrieval.shelf import ListShelf
from racm3.system import RACM3
from racm3.tokens.codec import Kind
from tests.conftest import picture


def test_one_picture_is_shown_as_the_memory_shows_a_thing():
    """What was pasted on white and shrunk is what was shrunk and pasted on white."""
    for thing in held_out_things()[::20]:
        known = thing.document()
        shown = Document.of(known.text, known.images[0]).in_sizes(SHOWN, 64)
        assert [type(part) for part in shown.parts] == [type(part) for part in known.parts]
        for mine, theirs in zip(shown.images, known.images, strict=True):
            apart = np.abs(mine.pixels.astype(float) - theirs.pixels)
            assert apart.mean() < 1.5, thing.name


def test_what_is_known_in_no_other_size_is_read_as_it_is():
    one, words = Document.of("a", picture(1)), Document.of("a")
    two = Document.of("a", picture(1), picture(2))
    assert one.in_sizes((1.0,), 16) is one
    assert two.in_sizes(SHOWN, 16) is two
    assert words.in_sizes(SHOWN, 16) is words
    assert len(Document.of(picture(1), "a", "b").in_sizes(SHOWN, 16).parts) == 4


def test_sizes_come_with_the_system_and_stay_when_others_speak_for_it(system: RACM3, tmp_path):
    sized = RACM3(replace(system.parts, sizes=SHOWN))
    sized.save(tmp_path / "saved")
    opened = RACM3.open(tmp_path / "saved", memory=system.parts.shelf, device="cpu")
    assert opened.voice.sizes == SHOWN
    voice = replace(opened.voice, speaker=Engine(opened.engine.model, opened.engine.placing))
    shown = [Document.of("a red apple", picture(1))]
    assert len(voice.read(shown)[0]) == 3
    assert len(system.voice.read(shown)[0]) == 2


@pytest.mark.parametrize("kind", list(Kind))
def test_perplexity_is_of_documents_as_an_answer_reads_them(system: RACM3, kind):
    documents, plain = system.parts.shelf.documents(range(2)), system.voice
    one = [[Document.of("a red apple", picture(1))]] * 2
    both = [[document.in_sizes(SHOWN, 16) for document in shown] for shown in one]
    sized = document_losses(replace(plain, sizes=SHOWN), documents, one, kind)
    np.testing.assert_array_equal(
        sized.losses, document_losses(plain, documents, both, kind).losses
    )
    assert (sized.losses != document_losses(plain, documents, one, kind).losses).all()
    world = finished(replace(system.parts, sizes=SHOWN), documents)
    assert world.sizes == SHOWN


@pytest.mark.parametrize("sizes", [(), (0.0,), (1.5, 0.5)])
def test_sizes_that_fit_no_picture_are_refused(system: RACM3, sizes):
    with pytest.raises(ConfigError, match="sizes"):
        replace(system.parts, sizes=sizes)


def test_the_shipped_system_draws_from_a_folder_of_ones_own_pictures(tmp_path, shipped):
    """One picture each, in whatever size, as people have them; guessing is right once in six."""
    things_ = invented_things(6, seed=4)
    for number, thing in enumerate(things_):
        shown = Image.of(thing.on_white(64).pil().resize((200, 200)))
        shown.pil().save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(thing.name)
    documents = [entry.document for entry in read_source(tmp_path, Tolerance())]
    memory = ListShelf(documents, embed(shipped.encoder, documents))
    mine, right = shipped.remembering(memory), 0
    pictures = [thing.on_white(64) for thing in things_]
    for number, thing in enumerate(things_):
        drawing = mine.draw(f"{thing.noun} on a white background")
        right += recognised(drawing.image, pictures) == number
    assert right >= 5


def test_examples_are_read_as_they_are(system: RACM3):
    """They are scenes: a generator that knows two sizes of a thing has met one of each scene."""
    shots = {"dax": [picture(0)], "blicket": [picture(1)]}
    sized = RACM3(replace(system.parts, sizes=SHOWN))
    plain, other = (one.classify(picture(0), shots) for one in (system, sized))
    assert other.probabilities == plain.probabilities
    assert (
        sized.draw("an apple", like=[picture(0)]).image
        != system.draw("an apple", like=[picture(0)]).image
    )
