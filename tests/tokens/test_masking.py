from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racm3.tokens.codec import Kind, Segment, flatten
from racm3.tokens.context import context, fitting, half_hidden, pack, shorten, size
from racm3.tokens.masking import Masking, Span, choose_spans, contents, lay, unlay
from racm3.tokens.placing import Placing
from racm3.tokens.vocabulary import Vocabulary

VOCABULARY = Vocabulary(20, 10)
raw = st.lists(
    st.one_of(
        st.lists(st.integers(0, 19), max_size=12),
        st.lists(st.integers(20, 29), min_size=9, max_size=9),
    ),
    min_size=1,
    max_size=4,
)


def segments(found):
    """Built outside hypothesis's strategies, which must not meet the type checker's own dice."""
    kinds = [Kind.IMAGE if ids and ids[0] >= 20 else Kind.TEXT for ids in found]
    return tuple(Segment(kind, tuple(ids)) for kind, ids in zip(kinds, found, strict=True))


DOCUMENT = (Segment(Kind.TEXT, tuple(range(10))), Segment(Kind.IMAGE, tuple(range(20, 29))))


@given(raw, st.integers(0, 10_000), st.floats(0, 4), st.floats(0, 1))
def test_unlaying_what_was_laid_gives_the_document_back(document, seed, mean, rotation):
    document = segments(document)
    rng = np.random.default_rng(seed)
    spans = choose_spans(document, Masking(mean_spans=mean, rotation=rotation), rng)
    laid = lay(document, spans, VOCABULARY)
    assert unlay(laid.ids, VOCABULARY) == [*flatten(document, VOCABULARY), VOCABULARY.end]


@given(raw, st.integers(0, 10_000))
def test_spans_are_disjoint_and_never_cross_a_break(document, seed):
    document = segments(document)
    rng = np.random.default_rng(seed)
    spans = choose_spans(document, Masking(mean_spans=3, rotation=0), rng)
    assert all(a.stop <= b.start for a, b in pairwise(spans))
    for span in spans:
        assert any(s.start <= span.start < span.stop <= s.stop for s in contents(document))


def test_no_loss_is_taken_on_markers_inside_the_source_only():
    rng = np.random.default_rng(0)
    for _ in range(200):
        laid = lay(DOCUMENT, choose_spans(DOCUMENT, Masking(), rng), VOCABULARY)
        end = laid.ids.index(VOCABULARY.end)
        for place, (id_, learn) in enumerate(zip(laid.ids, laid.learn, strict=True)):
            assert learn != (place < end and id_ in VOCABULARY.masks)


def test_the_layout_is_the_papers():
    laid = lay(DOCUMENT, [contents(DOCUMENT)[0]], VOCABULARY)
    mask, close, eoss = VOCABULARY.masks[0], VOCABULARY.break_, VOCABULARY.eoss
    picture = list(range(20, 29))
    expected = [mask, close, *picture, close, VOCABULARY.end, mask, *range(10), eoss]
    assert laid.ids == expected


@pytest.mark.parametrize(("rotation", "share"), [(0.0, (0.0, 0.02)), (0.5, (0.18, 0.27))])
def test_rotation_is_what_masks_whole_captions(rotation, share):
    """Without it fewer than 1% of samples lose their caption whole (design §2.2)."""
    rng = np.random.default_rng(1)
    document = (DOCUMENT[0], Segment(Kind.IMAGE, tuple([20] * 64)))
    caption = contents(document)[0]
    masking = Masking(rotation=rotation)
    count = sum(caption in choose_spans(document, masking, rng) for _ in range(4000)) / 4000
    assert share[0] <= count <= share[1]


def test_more_captions_are_masked_alone_where_that_is_asked_for():
    caption, masking = contents(DOCUMENT)[0], Masking(mean_spans=0, described=0.3)
    rng = np.random.default_rng(4)
    masked = [choose_spans(DOCUMENT, masking, rng) for _ in range(2000)]
    assert set(map(tuple, masked)) == {(), (caption,)}
    assert np.mean([bool(spans) for spans in masked]) == pytest.approx(0.3, abs=0.04)
    assert not any(choose_spans(DOCUMENT[:1], masking, rng) for _ in range(100))


def test_the_number_of_spans_is_poisson_before_clamping():
    rng = np.random.default_rng(2)
    none = sum(not choose_spans(DOCUMENT, Masking(), rng) for _ in range(4000)) / 4000
    assert none == pytest.approx(np.exp(-1), abs=0.03)


def test_every_id_knows_its_document():
    one = context([DOCUMENT, DOCUMENT[:1]], DOCUMENT, VOCABULARY)
    sources, counts = np.unique(one.source, return_counts=True)
    assert sources.tolist() == [-1, 0, 1, 2]
    assert counts.tolist() == [1, size(DOCUMENT) + 1, size(DOCUMENT), size(DOCUMENT[:1])]


CAPTION, PICTURE = contents(DOCUMENT)


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([], range(20, 29)),
        ([CAPTION], range(10)),
        ([PICTURE], range(20, 29)),
        ([(2, 5)], (2, 3, 4)),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_is_hidden_was_said_last_and_is_said_all_the_same(spans, said, share):
    """The prompt and the documents stay to be read, and all that was hidden is to be predicted."""
    whole = context([DOCUMENT], DOCUMENT, VOCABULARY, [Span(*span) for span in spans])
    one = half_hidden(whole, share, VOCABULARY, np.random.default_rng(0))
    for name in ("ids", "source", "learn"):
        np.testing.assert_array_equal(getattr(one, name), getattr(whole, name))
    hidden = one.read != whole.read
    last = np.flatnonzero(np.isin(whole.ids, said) & (whole.source == 0))[-len(said) :]
    assert whole.ids[last].tolist() == list(said)
    assert set(np.flatnonzero(hidden)) <= set(last)
    assert (one.read[hidden] == VOCABULARY.pad).all()
    assert hidden.sum() == {0.0: 0, 1.0: len(said)}.get(share, hidden.sum())
    assert whole.read is whole.ids


def test_nothing_is_hidden_of_a_document_that_says_nothing():
    empty = context([], (Segment(Kind.TEXT, ()),), VOCABULARY)
    one = half_hidden(empty, 1.0, VOCABULARY, np.random.default_rng(0))
    np.testing.assert_array_equal(one.read, empty.ids)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0]))
def test_masking_all_that_is_read_can_be_undone_and_keeps_the_owners(seed, rotation):
    retrieved = [DOCUMENT, DOCUMENT[:1]]
    read = [*DOCUMENT[:1], *DOCUMENT, *DOCUMENT]
    masking = Masking(mean_spans=3.0, rotation=rotation, scope="all")
    spans = choose_spans(read, masking, np.random.default_rng(seed))
    one = context(retrieved, DOCUMENT, VOCABULARY, spans, scope="all")
    plain = context(retrieved, DOCUMENT, VOCABULARY)
    assert [VOCABULARY.end, *unlay(one.ids[1:].tolist(), VOCABULARY)] == plain.ids.tolist()
    for source in (0, 1, 2):
        mine, before = one.ids[one.source == source], plain.ids[plain.source == source]
        kept = [i for i in mine if i not in VOCABULARY.masks and i != VOCABULARY.eoss]
        assert sorted(kept) == sorted(before)


@given(raw, st.integers(14, 60))
def test_shortening_never_splits_a_picture(document, room):
    document = segments(document)
    kept = shorten(document, room)
    assert size(kept) <= room
    for before, after in zip(document, kept, strict=False):
        assert after == before or (
            after.kind is Kind.TEXT and after.ids == before.ids[: len(after.ids)]
        )


def test_the_least_relevant_document_is_given_up_first():
    other = (Segment(Kind.TEXT, (1, 2)),)
    assert fitting([DOCUMENT, other], 10, 1 + size(DOCUMENT) + 10) == [DOCUMENT]
    assert fitting([DOCUMENT, other], 10, 5) == []


def test_packing_loses_nothing():
    one, two = context([], DOCUMENT, VOCABULARY), context([DOCUMENT], DOCUMENT, VOCABULARY)
    packed = pack([[one, two], [two]], 80, Placing(VOCABULARY, 9))
    assert packed.ids[0, packed.sample[0] == 1].tolist() == two.ids.tolist()
    assert packed.position[0, packed.sample[0] == 1].tolist() == list(range(len(two.ids)))
    assert (packed.ids[packed.sample == -1] == VOCABULARY.pad).all()
