"""A CLIP that tells which words it was given: what it starts from, what stays, what it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from racm3.data.sample_world import corpus
from racm3.errors import ConfigError
from racm3.retrieval.embedding import Sides, unit
from racm3.retrieval.encoder import ClipEncoder
from racm3.training.clip import ClipTraining, new_clip
from racm3.training.clip_words import WordsLearner, WordTraining, sketches, telling
from tests.conftest import picture

CLIP = ClipTraining(steps=1, width=48, layers=1, dim=16, vocabulary=300, side=32, patch=8)
CONFIG = WordTraining(steps=200, warmup=4, lr=3e-3, width=64, layers=1, room=32, weight=3.0)
SIDES = Sides(text=0.5, columns=("keywords",))
TOLD = replace(SIDES, words=32, weight=3.0)
LINES = [
    ("a cat", "a cat"),
    ("a dog on grass", "a dog on grass"),
    ("a cat blor, zin", "a cat"),
    ("zin blor", ""),
    ("quav mip", ""),
    ("a throx dul, quav", ""),
]


@pytest.fixture
def before() -> ClipEncoder:
    return new_clip(CLIP, [document.text for document in corpus.clip_pairs(0, batch=6)])


def learner(before: ClipEncoder) -> WordsLearner:
    encoder, unseen = telling(before, CONFIG, SIDES), corpus.clip_pairs(0, batch=6)
    where = torch.device("cpu")
    return WordsLearner(encoder, before, CONFIG, lambda _: LINES, unseen, where)


def test_pictures_are_what_they_were_and_leave_the_rest_at_zero(before: ClipEncoder):
    wide, pictures = telling(before, CONFIG, SIDES), [picture(1), picture(2)]
    assert (wide.dim, wide.sides) == (48, TOLD)
    np.testing.assert_allclose(wide.images(pictures)[:, :16], before.images(pictures), atol=1e-6)
    assert not wide.images(pictures)[:, 16:].any()


def test_a_word_is_the_same_pieces_wherever_it_stands(before: ClipEncoder):
    wide = telling(before, CONFIG, SIDES)

    def pieces(encoder: ClipEncoder, text: str) -> list[int]:
        return encoder.windows(text)[0][1:-1]

    for word in ("cat", "embarrass", "Zorb"):
        last = pieces(wide, f"on {word}")[len(pieces(wide, "on")) :]
        assert pieces(wide, word) == last
    assert pieces(before, "cat") != pieces(before, "on cat")[len(pieces(before, "on")) :]


@pytest.mark.parametrize("room", [-1, 0, 65])
def test_words_need_room_and_no_more_than_the_tower_is_wide(before: ClipEncoder, room: int):
    with pytest.raises(ConfigError, match="not in 1 to 64"):
        telling(before, replace(CONFIG, room=room), SIDES)


def test_rare_pieces_count_more_and_marks_nothing(before: ClipEncoder):
    wide = telling(before, CONFIG, SIDES)
    lengths = sketches(wide, ["a cat", "a dog", "a cow"], 32).norm(dim=1)
    a, rest = wide.windows("a")[0][1], wide.windows("!, (")[0]
    assert lengths[a] < lengths.max() == pytest.approx(1.0)
    assert lengths[rest].max() == 0


def test_a_sketch_knows_no_order_and_is_the_sum_of_its_words(before: ClipEncoder):
    one = learner(before)
    both, turned, first, second = one.sketched(["blor zin", "zin, blor", "blor", "zin"])
    torch.testing.assert_close(both, turned)
    sums = [one.sketches[one.encoder.windows(word)[0]].sum(dim=0) for word in ("blor", "zin")]
    torch.testing.assert_close(both, sum(sums) / torch.stack(sums).sum(dim=0).norm())
    assert both @ first > 0 < both @ second


def test_errors_are_squared_distances_from_teacher_and_sketch(before: ClipEncoder):
    one = learner(before)
    said = np.concatenate(
        [one.encoder.clip.text(*one_text(one.encoder, text)).detach().numpy() for text, _ in LINES]
    )
    taught = np.stack(
        [before.texts([known])[0] if known else np.zeros(16, np.float32) for _, known in LINES]
    )
    sketched = one.sketched([text for text, _ in LINES]).numpy()
    known, words = (error.item() for error in one.errors(0))
    assert known == pytest.approx(np.square(said[:, :16] - taught).sum(axis=1).mean(), rel=1e-4)
    assert words == pytest.approx(np.square(said[:, 16:] - sketched).sum(axis=1).mean(), rel=1e-4)


def one_text(encoder: ClipEncoder, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    ids = encoder.windows(text)[0]
    return torch.tensor([ids]), torch.tensor([len(ids)])


def test_both_are_learnt_while_teacher_and_pictures_stay(before: ClipEncoder):
    one = learner(before)
    taught, seen = before.texts(["a cat"]), one.encoder.images([picture(1)])
    for step in range(200):
        errors = one.learn_from(step)
    assert max(errors["known"], errors["words"]) < 0.05
    np.testing.assert_array_equal(before.texts(["a cat"]), taught)
    np.testing.assert_array_equal(one.encoder.images([picture(1)]), seen)
    cat, asked, other = one.encoder.texts(["a cat blor, zin", "zin blor", "quav mip"])
    assert asked @ cat > 0.4 > other @ cat


def test_stopped_and_gone_on_with_it_is_the_same(before: ClipEncoder):
    whole, begun, going_on = (learner(before) for _ in range(3))
    losses = [whole.learn_from(step) for step in range(6)]
    for step in range(3):
        begun.learn_from(step)
    going_on.restore(begun.state())
    assert [going_on.learn_from(step) for step in range(3, 6)] == losses[3:]


def test_what_is_learnt_opens_as_any_clip_and_says_words_louder(before: ClipEncoder, tmp_path):
    one, pictures, texts = learner(before), [picture(1)], ["Zorb", "a cat"]
    raw = one.encoder.clip.text(*one_text(one.encoder, "Zorb")).detach().numpy()
    one.export(tmp_path / "clip")
    opened = ClipEncoder.open(tmp_path / "clip")
    assert opened.sides == TOLD
    louder = np.concatenate([raw[:, :16], 3 * raw[:, 16:]], axis=1)
    np.testing.assert_allclose(opened.texts(["Zorb"]), unit(louder), atol=1e-6)
    np.testing.assert_array_equal(opened.images(pictures), one.encoder.images(pictures))
    assert not np.allclose(opened.texts(texts), one.encoder.texts(texts), atol=1e-3)
    np.testing.assert_array_equal(
        one.encoder.clip.text(*one_text(one.encoder, "Zorb")).detach().numpy(), raw
    )


def test_it_says_how_much_of_a_text_it_knows(before: ClipEncoder, tmp_path):
    one = learner(before)
    for step in range(200):
        one.learn_from(step)
    one.export(tmp_path / "clip")
    opened = ClipEncoder.open(tmp_path / "clip")
    known = opened.sides.apart(opened.texts(["a cat", "a dog on grass", "zin blor"])).known
    assert min(known[:2]) > 0.8
    assert known[2] < 0.3
