"""Where ids stand: a picture's cells keep their places whatever stands before or is missing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from racm3.tokens.codec import Kind, Segment
from racm3.tokens.masking import Span, lay
from racm3.tokens.placing import Placing
from racm3.tokens.vocabulary import Vocabulary

VOCABULARY, CELLS, ALIGN = Vocabulary(30, 20), 9, 16
PLACING = Placing(VOCABULARY, CELLS, ALIGN)
# Every cell has a code of its own, so a code tells which cell it stands in.
PICTURE = tuple(VOCABULARY.image[:CELLS])
TEXTS = st.lists(st.sampled_from(VOCABULARY.text), min_size=1, max_size=12)
LONG = st.lists(st.sampled_from(VOCABULARY.text), min_size=1, max_size=5 * ALIGN)


def cells_of(ids: list[int], positions: list[int]) -> dict[int, int]:
    """Cell by its code: where it stands within its multiple of ALIGN."""
    pairs = zip(ids, positions, strict=True)
    return {id_ - VOCABULARY.image.start: at % ALIGN for id_, at in pairs if id_ in PICTURE}


@given(LONG, LONG)
def test_pictures_stand_at_the_next_multiple_however_long_the_texts_between_them_are(one, other):
    """And every text, whether it fits before its picture or not, right behind what it follows."""
    ids = [*one, VOCABULARY.break_, *PICTURE, VOCABULARY.break_]
    ids += [*other, VOCABULARY.break_, *PICTURE, VOCABULARY.break_]
    first, second = (range(k * ALIGN, k * ALIGN + CELLS) for k in (1, 2))
    expected = [*range(len(one) + 1), *first, first.stop]
    expected += [*range(first.stop + 1, first.stop + len(other) + 2), *second, second.stop]
    assert PLACING.positions(ids) == expected


@given(TEXTS, st.integers(0, CELLS - 1), st.integers(1, CELLS))
def test_every_cell_keeps_its_place_when_a_span_is_masked(text, start, length):
    segments = (Segment(Kind.TEXT, tuple(text)), Segment(Kind.IMAGE, PICTURE))
    offset = len(text) + 1
    span = Span(offset + start, offset + min(start + length, CELLS))
    ids = lay(segments, [span], VOCABULARY).ids
    assert cells_of(ids, PLACING.positions(ids)) == {cell: cell for cell in range(CELLS)}


@given(TEXTS, st.integers(0, CELLS - 1), st.integers(1, CELLS))
def test_walking_on_agrees_with_reading_everything(text, start, length):
    segments = (Segment(Kind.TEXT, tuple(text)), Segment(Kind.IMAGE, PICTURE))
    offset = len(text) + 1
    ids = lay(segments, [Span(offset + start, offset + min(start + length, CELLS))], VOCABULARY).ids
    prompt = ids[: ids.index(VOCABULARY.end) + 2]
    walk = PLACING.walk().read(prompt)
    assert [walk.step(id_) for id_ in ids[len(prompt) :]] == PLACING.positions(ids)[len(prompt) :]


def test_positions_only_grow_where_texts_fit_and_plain_ones_count():
    ids = [50, 1, 2, 3, 52, *PICTURE, 52, 7, 52, 33, 54, 35, 55, 36, 37, 52, 50, 54, 34, 53]
    positions = PLACING.positions(ids)
    assert all(a < b for a, b in pairwise(positions))
    assert Placing(VOCABULARY, CELLS).positions(ids) == list(range(len(ids)))
