"""What an infilled picture asks for: laws of its spans, and what is told in them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racm3.errors import GenerationError
from racm3.generation.constraints import Place, Spans
from racm3.generation.tasks import draw_task, fill, gaps, picture_infill_task, redraw_task, runs
from racm3.tokens.codec import Kind, Segment
from racm3.tokens.vocabulary import MASKS
from tests.generation.test_engine import VOCABULARY

MASK = st.integers(2, 40).flatmap(
    lambda side: st.lists(st.booleans(), min_size=side * 4, max_size=side * 4).map(
        lambda cells: np.array(cells).reshape(side, 4)
    )
)


@given(MASK)
def test_gaps_hold_what_is_masked_and_begin_and_end_with_it(mask):
    spans, flat = gaps(mask), mask.ravel()
    inside = np.zeros_like(flat)
    for span in spans:
        assert flat[[span.start, span.stop - 1]].all()
        inside[span.start : span.stop] = True
    assert (inside >= flat).all()
    assert len(spans) < MASKS
    between = [b.start - a.stop for a, b in pairwise(spans)]
    assert all(length >= 4 for length in between)
    if len(runs(mask)) < MASKS:
        # Nothing that stands a row apart has become one.
        known = [b.start - a.stop for a, b in pairwise(runs(mask))]
        assert len(spans) == min(len(runs(mask)), 1 + sum(length >= 4 for length in known))


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "count"),
    [
        (box(slice(4, 8), slice(None)), 1),
        (box(slice(None), slice(4, 8)), 1),
        (box(slice(2, 5), slice(2, 5)), 1),
        (box(slice(0, 2), slice(0, 2)) | box(slice(5, 7), slice(5, 7)), 2),
        (box(slice(None, None, 2), slice(None)), 4),
    ],
)
def test_a_box_is_one_span(mask, count):
    assert len(gaps(mask)) == count


@given(MASK, st.integers(0, 2**32 - 1))
def test_known_codes_are_told_where_a_span_holds_them_and_stay(mask, seed):
    rng, codes = np.random.default_rng(seed), np.array(VOCABULARY.image)
    picture = Segment(Kind.IMAGE, tuple(rng.choice(codes, mask.size).tolist()))
    if not mask.any():
        with pytest.raises(GenerationError, match="the mask is empty"):
            picture_infill_task(None, picture, mask, VOCABULARY)
        return
    task = picture_infill_task(None, picture, mask, VOCABULARY)
    grammar = task.grammar
    assert isinstance(grammar, Spans)
    said = list[int]()
    while grammar.place(said) is not Place.DONE:
        forced = grammar.forced(said)
        said.append(int(rng.choice(codes)) if forced is None else forced)
    assert len(said) == task.longest
    free = [id_ for id_, step in zip(said, grammar.plan, strict=True) if step.forced is None]
    after = np.array(fill(picture, mask, grammar.spans(said)).ids)
    assert after[mask.ravel()].tolist() == free
    assert (after == picture.ids)[~mask.ravel()].all()


@pytest.mark.parametrize("words", [None, (1, 2)])
@given(mask=MASK, seed=st.integers(0, 2**32 - 1))
def test_a_picture_is_drawn_on_as_if_it_had_been_drawn_so_far(words, mask, seed):
    rng, codes = np.random.default_rng(seed), np.array(VOCABULARY.image)
    picture = Segment(Kind.IMAGE, tuple(rng.choice(codes, mask.size).tolist()))
    text = Segment(Kind.TEXT, words) if words else None
    if not mask.any():
        with pytest.raises(GenerationError, match="the mask is empty"):
            redraw_task(text, picture, mask, VOCABULARY)
        return
    task, whole = (
        redraw_task(text, picture, mask, VOCABULARY),
        draw_task(text, mask.size, VOCABULARY),
    )
    start = mask.size - task.longest
    for mine, theirs in zip(task[:3], whole[:3], strict=True):
        assert mine == [*theirs, *picture.ids[:start]]
    said = list[int]()
    while task.grammar.place(said) is not Place.DONE:
        forced = task.grammar.forced(said)
        assert (forced is None) == mask.ravel()[start + len(said)]
        said.append(codes[0].item() if forced is None else forced)
    drawn = np.array([*picture.ids[:start], *said])
    assert (drawn == picture.ids)[~mask.ravel()].all()
    assert mask.ravel()[start]
