"""A CLIP that knows what a tokenizer makes of pictures: what it learns, and what stays."""

import numpy as np
import pytest
import torch

from racm3.data.sample_world import corpus
from racm3.document import Image
from racm3.recipes.sample_clip import PARTS, twins
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Sides
from racm3.retrieval.encoder import ClipEncoder
from racm3.tokens.image import ImageTokenizer
from racm3.training.clip import ClipTraining, new_clip
from racm3.training.clip_decoded import DecodedLearner, DecodedTraining, Twins
from racm3.training.clip_words import WordTraining, telling
from tests.conftest import picture

CLIP = ClipTraining(steps=1, width=48, layers=1, dim=16, vocabulary=300, side=32, patch=8)
CONFIG = DecodedTraining(steps=80, warmup=4, lr=3e-3)
CLEAN = [picture(seed) for seed in range(6)]
DECODED = [Image(255 - one.pixels) for one in CLEAN]


@pytest.fixture
def before() -> ClipEncoder:
    plain = new_clip(CLIP, [document.text for document in corpus.clip_pairs(0, batch=6)])
    return telling(plain, WordTraining(steps=1, width=64, layers=1, room=8), Sides())


def learner(before: ClipEncoder, config: DecodedTraining = CONFIG) -> DecodedLearner:
    return DecodedLearner(before, config, lambda _: Twins(CLEAN, DECODED), torch.device("cpu"))


def test_errors_are_squared_distances_from_what_the_clean_one_was(before: ClipEncoder):
    one = learner(before)
    right, other = before.images(CLEAN), before.images(DECODED)
    clean, decoded = (error.item() for error in one.errors(0))
    assert clean == 0.0
    assert decoded == pytest.approx(np.square(right - other).sum(axis=1).mean(), rel=1e-4)
    near = other @ right.T
    recall = np.mean(near.argmax(axis=1) == np.arange(len(near)))
    assert one.validate()["recall@1"] == pytest.approx(recall)


def test_decoded_pictures_are_learnt_and_all_else_stays(before: ClipEncoder):
    one, right, said = learner(before), before.images(CLEAN), before.texts(["a cat"])
    start = one.errors(0)[1].item()
    for step in range(CONFIG.steps):
        one.learn_from(step)
    clean, decoded = (error.item() for error in one.errors(0))
    assert decoded < 0.2 * start
    assert clean < 0.2 * start
    assert not np.array_equal(one.encoder.images(CLEAN), right)
    np.testing.assert_array_equal(before.images(CLEAN), right)
    np.testing.assert_array_equal(one.encoder.texts(["a cat"]), said)
    assert not one.encoder.images(DECODED)[:, -8:].any(), "pictures say no words"
    assert one.validate()["recall@1"] == 1.0


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


def test_twins_are_the_same_parts_of_a_scene_and_what_became_of_it():
    config, inverts = RetrieverConfig(halves=True), Inverts()
    made = twins(inverts, config, 5, scenes=4)
    assert len(made.clean) == len(made.decoded) == 4 * (1 + PARTS)
    whole = corpus.crowded_pictures(5, batch=4)
    assert made.clean[:: 1 + PARTS] == whole
    for one, other in zip(made.clean, made.decoded, strict=True):
        apart = np.abs(255 - one.pixels.astype(int) - other.pixels)
        assert np.median(apart) == 0
    alone = twins(inverts, RetrieverConfig(), 5, scenes=4)
    assert alone.clean == whole
