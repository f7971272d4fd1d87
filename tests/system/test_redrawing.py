"""Parts of pictures redrawn, whatever the weights: both ways asked, the likeliest whole kept."""

import numpy as np
import pytest

from racm3.generation.guidance import Guidance
from racm3.generation.tasks import draw_task, fill, picture_infill_task, redraw_task
from racm3.system import Settings
from racm3.system.voice import Voice
from tests.conftest import picture

MASK = np.zeros((16, 16), dtype=bool)
MASK[4:12, 4:16] = True


@pytest.mark.parametrize("caption", ["", "a guitar"])
def test_the_likeliest_whole_pictures_of_both_ways_are_kept(system, caption):
    image, some, voice = picture(3), Settings(candidates=3), system.voice
    drawing, cells = system.infill(image, MASK, caption, some), voice.cells(MASK)
    whole, text = voice.segment(image), voice.text(caption) if caption else None
    vocabulary, consulted = system.codec.vocabulary, drawing.consulted
    start = int(cells.ravel().argmax())
    between = picture_infill_task(text, whole, cells, vocabulary)
    both = [
        fill(whole, cells, between.grammar.spans(one.ids)).ids
        for one in voice.say(between, consulted, some)
    ]
    drawn_on = redraw_task(text, whole, cells, vocabulary)
    said = voice.say(drawn_on, consulted, some)
    both += [(*whole.ids[:start], *one.ids) for one in said]
    # Each read once more as a whole picture, by whoever draws one from nothing.
    task = draw_task(text, len(whole.ids), vocabulary)
    known = [voice.score(task, consulted, one).numpy()[start:].mean() for one in both]
    np.testing.assert_allclose(drawing.scores, sorted(known, reverse=True)[:3], rtol=1e-4)
    assert drawing.image == voice.pasted(image, both[int(np.argmax(known))], cells)
    for one, traced in zip(drawing.images, drawing.trace.said, strict=True):
        assert voice.pasted(image, [*whole.ids[:start], *traced], cells) == one


@pytest.mark.parametrize(
    ("guidance", "ways"), [(Guidance(), 2), (Guidance(weight=7.5, image_weight=1.5), 1)]
)
def test_toward_the_picture_only_infilling_guides(system, monkeypatch, guidance, ways):
    asked, say = [], Voice.say

    def watched(self, task, *rest):
        asked.append(task)
        return say(self, task, *rest)

    monkeypatch.setattr(Voice, "say", watched)
    system.infill(picture(3), MASK, "a guitar", Settings(guidance=guidance))
    assert len(asked) == ways
