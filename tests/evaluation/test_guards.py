"""Copying, leaking, recall and few-shot episodes."""

import numpy as np
import pytest

from racm3.document import Document, Image
from racm3.errors import ConfigError
from racm3.evaluation import copying
from racm3.evaluation.copying import CopyMeter
from racm3.evaluation.fewshot import LABELS, episodes, right_answers
from racm3.evaluation.leakage import Guard, clean, difference_hash, find_leaks
from racm3.evaluation.recall import FORMS, table_four
from racm3.retrieval.embedding import embed, unit
from racm3.retrieval.index import ExactIndex
from tests.conftest import picture


def test_blocks_are_the_overlapping_squares_of_codes():
    grid = np.arange(12).reshape(3, 4)
    found = copying.blocks(grid)
    assert found[0] == (0, 1, 4, 5)
    assert found[-1] == (6, 7, 10, 11)
    assert len(found) == len(set(found)) == 6


def test_a_shifted_copy_is_seen_by_blocks_and_not_in_place():
    grid = np.arange(36).reshape(6, 6)
    shifted = np.full_like(grid, -1)
    shifted[:, 1:] = grid[:, :-1]
    assert copying.in_place(shifted, [grid]) == 0
    assert copying.shared_blocks(shifted, [grid]) == pytest.approx(20 / 25)
    assert copying.in_place(grid, [shifted, grid]) == 1
    assert copying.in_place(grid, []) == copying.shared_blocks(grid, []) == 0


def test_the_meter_reads_one_for_a_copy_and_less_for_another_picture(codec, encoder):
    pictures = [picture(i) for i in range(4)]
    meter = CopyMeter(
        codec.image, encoder, ExactIndex.of(np.arange(len(pictures)), encoder.images(pictures))
    )
    copy, other = meter(pictures[0], pictures[:2]), meter(picture(9), pictures[:2])
    assert copy.in_place == copy.blocks == 1
    assert copy.consulted == pytest.approx(1, abs=1e-5)
    assert copy.memory == pytest.approx(1, abs=1e-5)
    assert other.blocks < 1
    assert other.memory < copy.memory


def smooth(seed: int) -> Image:
    """A picture with structure, which a thumbnail keeps."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3))
    return Image(np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8))


def test_near_duplicates_and_same_texts_are_found():
    memory = [Document.of(f"number {i}", smooth(i)) for i in range(6)]
    darker = Image((smooth(2).pixels * 0.8).astype(np.uint8))
    smaller = Image.of(smooth(4).pil().resize((40, 40)))
    asked = [
        Document.of("new words", darker),
        Document.of("Number  5", smooth(77)),
        Document.of("other", smooth(78)),
        Document.of("yet another", smaller),
    ]
    leaks = find_leaks(asked, memory, Guard())
    assert [(leak.document, leak.memory, leak.why) for leak in leaks] == [
        (0, (2,), "picture"),
        (1, (5,), "text"),
        (3, (4,), "picture"),
    ]
    assert clean(len(asked), leaks).tolist() == [False, False, True, False]


def test_vectors_find_what_hashes_do_not():
    memory = [Document.of("a", smooth(1))]
    vectors = (unit(np.array([[1.0, 0.1], [0.0, 1.0]])), unit(np.array([[1.0, 0.0]])))
    asked = [Document.of("b", smooth(2)), Document.of("c", smooth(3))]
    found = find_leaks(asked, memory, Guard(cosine=0.9), vectors=vectors)
    assert [leak.document for leak in found] == [0]


def test_a_hash_has_one_bit_for_every_pair_of_neighbours():
    ramp = np.repeat(np.arange(0, 90, 10, dtype=np.uint8)[None], 8, axis=0)
    rising = Image(np.repeat(ramp[..., None], 3, axis=2))
    falling = Image(rising.pixels[:, ::-1].copy())
    assert difference_hash(rising) == np.uint64(2**64 - 1)
    assert difference_hash(falling) == 0


@pytest.mark.parametrize("form", FORMS)
def test_recall_is_whole_at_the_size_of_the_memory_and_is_by_rank(encoder, documents, form):
    assert table_four(encoder, documents, form, k=len(documents)).all()
    side, wanted = form
    pick = {"text": lambda d: Document.of(d.text), "image": lambda d: Document.of(d.images[0])}
    asked = embed(encoder, [pick[side](d) for d in documents])
    known = embed(encoder, [pick[wanted](d) if wanted in pick else d for d in documents])
    scores = asked @ known.T
    rank = (scores > scores.diagonal()[:, None]).sum(axis=1)
    assert table_four(encoder, documents, form, k=2).tolist() == (rank < 2).tolist()


def test_episodes_ask_for_a_picture_that_was_not_shown(system):
    classes = [[picture(10 * c + i) for i in range(4)] for c in range(3)]
    some = episodes(classes, 12, k=2, seed=1)
    for one in some:
        assert set(one.examples) == set(LABELS)
        assert all(len(pictures) == 2 for pictures in one.examples.values())
        shown = [p for pictures in one.examples.values() for p in pictures]
        assert one.picture not in shown
        (home,) = [c for c in classes if one.picture in c]
        assert all(p in home for p in one.examples[one.right])
    assert {one.right for one in some} == set(LABELS)
    assert set(right_answers(system, some[:3])) <= {0.0, 1.0}
    with pytest.raises(ConfigError, match="at least 5 pictures"):
        episodes(classes, 1, k=4, seed=0)
