"""What each consulted document did, against reading with and without it by hand."""

from dataclasses import replace

import numpy as np
import pytest

from racm3.document import Document, Image
from racm3.errors import GenerationError
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import GREEDY
from racm3.system import RACM3, Settings
from racm3.system.influence import by_word
from racm3.tokens.context import preamble
from tests.conftest import picture

SETTINGS = Settings(candidates=2, seed=3)


def test_a_drawings_influence_is_the_difference_that_reading_makes(system: RACM3):
    drawing = system.draw("an apple", SETTINGS)
    for which in range(2):
        first, second = system.influences(drawing, which)
        ids, codec = drawing.trace.said[which], system.codec
        read = codec.encode([one.document for one in drawing.consulted])
        prompt = drawing.trace.task.conditional
        whole = system.engine.score(preamble(read, codec.vocabulary) + prompt, ids)
        rest = system.engine.score(preamble(read[1:], codec.vocabulary) + prompt, ids)
        np.testing.assert_allclose(first.nats, (whole - rest).numpy(), atol=1e-4)
        np.testing.assert_allclose(first.cells.ravel(), first.nats)
        assert second.consulted == drawing.consulted[1]
    assert codec.picture(drawing.trace.said[0]) == drawing.image


def test_a_document_of_each_of_several_things_is_read_at_once(system: RACM3):
    shown = [Document.of(f"thing {number}", picture(number)) for number in range(3)]
    drawing = system.draw("an apple", replace(SETTINGS, documents="each"), like=shown)
    read, codec = system.codec.encode(shown), system.codec
    prompt, ids = drawing.trace.task.conditional, drawing.trace.said[0]
    request = system.voice.request(drawing.trace.task, drawing.consulted, drawing.settings)
    assert request.streams == [preamble(read, codec.vocabulary) + prompt]
    two = system.voice.request(drawing.trace.task, drawing.consulted, SETTINGS)
    assert len(two.streams) == 2
    whole = system.engine.score(preamble(read, codec.vocabulary) + prompt, ids)
    for number, one in enumerate(system.influences(drawing)):
        rest = [*read[:number], *read[number + 1 :]]
        without = system.engine.score(preamble(rest, codec.vocabulary) + prompt, ids)
        np.testing.assert_allclose(one.nats, (whole - without).numpy(), atol=1e-4)
    assert number == 2


def test_an_infilling_has_influence_only_where_it_drew(system: RACM3):
    mask = np.zeros((16, 16), dtype=bool)
    mask[8:, :8] = True
    filled = system.infill(picture(1), mask, "an apple", SETTINGS)
    (one, _) = system.influences(filled)
    cells = system.voice.cells(mask)
    assert (one.cells[~cells] == 0).all()
    assert (one.cells[cells] != 0).any()
    assert one.total == pytest.approx(one.cells.sum())


def test_a_captions_influence_is_told_word_by_word(system: RACM3):
    writing = system.caption(picture(2), SETTINGS)
    (one, _) = system.influences(writing)
    text = "a café on blue"
    ids = system.voice.ids(text)
    words = by_word(system.codec, ids, np.ones(len(ids)))
    assert [word for word, _ in words] == ["a", " café", " on", " blue"]
    assert sum(value for _, value in words) == len(ids)
    # The end marker is no word, but it was said.
    assert sum(nats for _, nats in one.words) == pytest.approx(one.nats[:-1].sum(), abs=1e-6)
    with pytest.raises(GenerationError, match="heat map"):
        one.heat(picture(2))


def test_heat_is_red_where_a_document_helped(system: RACM3):
    (one, _) = system.influences(system.draw("an apple", SETTINGS))
    grey = Image(np.full((16, 16, 3), 128, dtype=np.uint8))
    half = np.where(np.arange(one.cells.size).reshape(one.cells.shape) % 2, 1.0, -1.0)
    red, _, blue = np.moveaxis(replace(one, cells=half).heat(grey).pixels.astype(int), -1, 0)
    step = 16 // half.shape[0]
    assert ((red > blue)[::step, ::step] == (half > 0)).all()


def test_weights_of_documents_switch_off_and_on(system: RACM3):
    def drawn(*weights: float, like=None) -> tuple[int, ...]:
        settings = Settings(sampling=GREEDY, guidance=Guidance(documents=weights))
        return system.draw("an apple", settings, like=like or ()).trace.said[0]

    consulted = [one.document for one in system.draw("an apple", Settings()).consulted]
    assert drawn(1.0, 1.0) == drawn()
    assert drawn(0.0, 1.0, like=consulted) == drawn(like=consulted[1:])
    assert drawn(1.0, 0.0, like=consulted) == drawn(like=consulted[:1])
    assert drawn(4.0, 1.0) != drawn(1.0, 4.0)
    with pytest.raises(GenerationError, match="3 document weights"):
        drawn(1.0, 1.0, 1.0)


def test_the_weight_of_all_documents_is_that_of_the_only_one(system: RACM3):
    def drawn(guidance: Guidance, *, documents: int) -> tuple[int, ...]:
        settings = Settings(sampling=GREEDY, guidance=guidance, documents=documents)
        return system.draw("an apple", settings).trace.said[0]

    for weight in (0.0, 2.0, 4.0):
        every, only = Guidance(context_weight=weight), Guidance(documents=(weight,))
        assert drawn(every, documents=1) == drawn(only, documents=1)
        assert drawn(every, documents=0) == drawn(Guidance(), documents=0)
        both = Guidance(documents=(1.0, 0.5), context_weight=weight)
        assert drawn(both, documents=2) == drawn(
            Guidance(documents=(weight, weight / 2)), documents=2
        )
    nothing = Guidance(context_weight=0.0)
    for documents in (1, 2):
        assert drawn(nothing, documents=documents) == drawn(Guidance(), documents=0)
    assert drawn(Guidance(context_weight=4.0), documents=2) != drawn(Guidance(), documents=2)
