"""A CLIP that knows what a tokenizer makes of pictures: what it learns, and what stays."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from racm3.data.sample_world import corpus
from racm3.data.sample_world.reading import QUARTERS
from racm3.data.sample_world.things import things
from racm3.document import Image
from racm3.recipes.sample_clip import twins
from racm3.retrieval.embedding import Sides
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.query import places
from racm3.tokens.image import ImageTokenizer
from racm3.training.clip import ClipTraining, new_clip
from racm3.training.clip_decoded import DecodedLearner, DecodedTraining, Twins
from racm3.training.clip_words import WordTraining, telling
from tests.conftest import picture

CLIP = ClipTraining(steps=1, width=48, layers=1, dim=16, vocabulary=300, side=32, patch=8)
CONFIG = DecodedTraining(steps=80, warmup=4, lr=3e-3, scale=10.0)
CLEAN = [picture(seed) for seed in range(6)]
DECODED = [Image(255 - one.pixels) for one in CLEAN]
ROWS = [5, 4, 3, 2, 1, 0]


@pytest.fixture
def before() -> ClipEncoder:
    plain = new_clip(CLIP, [document.text for document in corpus.clip_pairs(0, batch=6)])
    return telling(plain, WordTraining(steps=1, width=64, layers=1, room=8), Sides())


def learner(before: ClipEncoder) -> DecodedLearner:
    """Each picture's document is the picture itself, in another order."""
    documents = before.images(CLEAN[::-1])
    shown = Twins(CLEAN, DECODED, ROWS)
    return DecodedLearner(before, documents, CONFIG, lambda _: shown, torch.device("cpu"))


def test_errors_are_distances_from_the_clean_one_and_how_surely_its_document_is_found(
    before: ClipEncoder,
):
    one, right, other = learner(before), before.images(CLEAN), before.images(DECODED)
    errors = one.errors(one.twins(0))
    assert errors.clean.item() == 0.0
    assert errors.decoded.item() == pytest.approx(
        np.square(right - other).sum(axis=1).mean(), rel=1e-4
    )
    near = other @ right[::-1].T
    surely = log_softmax(10.0 * near, axis=1)[range(6), ROWS]
    assert errors.found.item() == pytest.approx(-surely.mean(), rel=1e-4)
    told = one.validate()
    assert told["recall@1_decoded"] == pytest.approx(np.mean(near.argmax(axis=1) == ROWS))
    assert told["recall@1_clean"] == 1.0


def test_decoded_pictures_are_learnt_and_all_else_stays(before: ClipEncoder):
    one, right, said = learner(before), before.images(CLEAN), before.texts(["a cat"])
    start = one.errors(one.twins(0))
    for step in range(CONFIG.steps):
        one.learn_from(step)
    errors = one.errors(one.twins(0))
    assert errors.decoded < 0.3 * start.decoded
    assert errors.clean < 0.3 * start.decoded
    assert errors.found < start.found
    assert not np.array_equal(one.encoder.images(CLEAN), right)
    np.testing.assert_array_equal(before.images(CLEAN), right)
    np.testing.assert_array_equal(one.encoder.texts(["a cat"]), said)
    assert not one.encoder.images(DECODED)[:, -8:].any(), "pictures say no words"
    assert one.validate()["recall@1_decoded"] == 1.0


def test_stopped_and_gone_on_with_it_is_the_same(before: ClipEncoder):
    whole, begun, going_on = (learner(before) for _ in range(3))
    losses = [whole.learn_from(step) for step in range(6)]
    for step in range(3):
        begun.learn_from(step)
    going_on.restore(begun.state())
    assert [going_on.learn_from(step) for step in range(3, 6)] == losses[3:]


class Inverts(ImageTokenizer):
    """Its codes are the pixels."""

    def __init__(self) -> None:
        pass

    def encode(self, pictures):
        return np.stack([one.pixels for one in pictures])

    def decode(self, codes):
        return [Image(255 - pixels) for pixels in codes]


def test_twins_are_what_stands_in_scenes_before_and_after():
    made = twins(Inverts(), QUARTERS, 5, scenes=24)
    scenes = corpus.crowded(5, batch=24)
    assert {len(scene.things) for scene in scenes} == {1, 2, 3, 4}
    things_shown = [thing for scene in scenes for thing in scene.things]
    assert len(made.clean) == len(made.decoded) == len(made.rows) == len(things_shown)
    assert [things()[row] for row in made.rows] == things_shown
    for one, other in zip(made.clean, made.decoded, strict=True):
        assert np.median(np.abs(255 - one.pixels.astype(int) - other.pixels)) == 0
    start = 0
    for scene in scenes:
        some = made.clean[start : start + len(scene.things)]
        start += len(scene.things)
        if len(some) == 1:
            assert some == [scene.draw()]
        # Each is seen by itself, as if nothing else stood there.
        middle = np.s_[16:48, 16:48]
        for place, thing in enumerate(scene.things if len(some) > 2 else ()):
            alone = scene.showing(*[thing] * len(some)).draw()
            wanted = places(alone, QUARTERS[len(some) - 3])[place].images[0]
            assert (some[place].pixels[middle] == wanted.pixels[middle]).all()
