from itertools import combinations

import numpy as np
import pytest
import torch

from racm3.data.live import Live
from racm3.data.prepare import find_neighbours
from racm3.data.prepared import Prepared, TokenTable
from racm3.data.stream import Stream, StreamConfig, fullest_rows, validation_batches
from racm3.errors import CheckpointError, ConfigError, DocumentError
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.retriever import Retriever
from racm3.runtime import dice
from racm3.tokens.codec import Kind, Segment, flatten
from racm3.tokens.masking import Masking, Words, choose_spans, unlay
from racm3.tokens.vocabulary import Vocabulary
from racm3.training.objective import batch

VOCABULARY = Vocabulary(40, 20)


def document(rng: np.random.Generator) -> tuple[Segment, ...]:
    text = tuple(rng.integers(0, 40, rng.integers(3, 12)).tolist())
    return (
        Segment(Kind.TEXT, text),
        Segment(Kind.IMAGE, tuple(rng.integers(40, 60, 16).tolist())),
    )


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    rng = np.random.default_rng(0)
    documents = [document(rng) for _ in range(50)]
    memory = [document(rng) for _ in range(20)]
    neighbours = rng.integers(0, 20, (50, 3, 2))
    about = {"text_size": 40, "codebook_size": 20, "cells": 9}
    return Prepared(TokenTable.of(documents), TokenTable.of(memory), neighbours, about)


def stream(prepared: Prepared, **changes: object) -> Stream:
    return Stream(prepared, StreamConfig(**{"rows": 4, "length": 160, **changes}), VOCABULARY)


def test_a_table_of_documents_gives_each_back(tmp_path):
    rng = np.random.default_rng(1)
    documents = [document(rng) for _ in range(9)] + [()]
    TokenTable.of(documents).save(tmp_path)
    opened = TokenTable.open(tmp_path)
    assert [opened[i] for i in range(len(opened))] == documents


def test_two_materials_together_keep_their_own_neighbours(prepared):
    both = prepared + prepared
    docs, shelf = len(prepared.documents), len(prepared.memory)
    for row in range(docs):
        assert both.documents[docs + row] == both.documents[row] == prepared.documents[row]
        for mine, theirs in zip(
            both.neighbours[row].ravel().tolist(),
            both.neighbours[docs + row].ravel().tolist(),
            strict=True,
        ):
            assert theirs == mine + shelf
            assert both.memory[theirs] == both.memory[mine]
    lonely = Prepared(prepared.documents, prepared.memory, prepared.neighbours * 0 - 1, {})
    assert ((prepared + lonely).neighbours[docs:] == -1).all()


def test_a_bookmark_continues_exactly_where_the_stream_was(prepared):
    one, two = stream(prepared), stream(prepared)
    for _ in range(3):
        next(one)
    two.seek(one.bookmark())
    for _ in range(3):
        for a, b in zip(next(one), next(two), strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_document_comes_once_an_epoch(prepared):
    masks = Masking(mean_spans=0)
    source = stream(prepared, masking=masks, neighbours="none")
    seen = []
    for number in range(50):
        ids = source.sample(number).ids.tolist()
        seen.append(tuple(unlay(ids[1:], VOCABULARY)))
    expected = [(*flatten(prepared.documents[i], VOCABULARY), VOCABULARY.end) for i in range(50)]
    assert sorted(seen) == sorted(expected)


def test_ranks_share_the_samples_without_overlap(prepared):
    config = StreamConfig(rows=2, length=160)
    taken = []
    for rank in range(2):
        source = Stream(prepared, config, VOCABULARY, rank=rank, world=2)
        numbers = set()
        for _ in range(3):
            next(source)
            numbers |= set(range(rank, source.fresh, 2))
        taken.append(numbers)
    assert not taken[0] & taken[1]


def test_vanilla_cm3_is_the_same_stream_without_documents(prepared):
    retrieved, plain = stream(prepared), stream(prepared, neighbours="none")
    for number in range(30):
        one, other = retrieved.sample(number), plain.sample(number)
        assert one.ids[one.source <= 0].tolist() == other.ids.tolist()
        assert other.source.max() == 0


@pytest.mark.parametrize("chance", [1.0, 0.4])
def test_shuffled_documents_are_the_same_in_either_order(chance, prepared):
    """Masks, K and documents stay; only which comes first changes, in half of the shuffled."""
    plain, shuffled = stream(prepared), stream(prepared, shuffled=chance)
    turned, pairs = 0, 0
    for number in range(300):
        one, other = plain.sample(number), shuffled.sample(number)
        assert one.ids[one.source <= 0].tolist() == other.ids[other.source <= 0].tolist()
        texts = [[s.ids[s.source == k].tolist() for k in (1, 2)] for s in (one, other)]
        assert sorted(texts[0]) == sorted(texts[1])
        if one.source.max() == 2 and texts[0][0] != texts[0][1]:
            pairs += 1
            turned += texts[0] != texts[1]
    assert 0.7 * chance < 2 * turned / pairs < 1.3 * chance


def test_hiding_changes_what_is_read_and_nothing_that_is_predicted(prepared):
    plain, hiding = stream(prepared), stream(prepared, hidden=0.5)
    shares = []
    for _ in range(6):
        before, after = next(plain), next(hiding)
        for name, one, other in zip(before._fields, before, after, strict=True):
            if name != "read":
                np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(before.read, before.ids)
        old, new = batch(before, torch.device("cpu")), batch(after, torch.device("cpu"))
        assert torch.equal(old.targets, new.targets)
        assert torch.equal(old.main, new.main)
        changed = old.ids != new.ids
        assert (new.ids[changed] == VOCABULARY.pad).all()
        main = (after.source == 0) & (after.ids < VOCABULARY.end)
        shares += [
            changed.numpy()[row][(after.sample[row] == k) & main[row]].mean()
            for row in range(len(after.ids))
            for k in range(after.sample[row].max() + 1)
        ]
    assert 0.3 < np.mean([share > 0 for share in shares]) < 0.6


def test_what_validates_hides_nothing(prepared):
    config = StreamConfig(rows=2, length=160, hidden=1.0)
    for packed in validation_batches(prepared, config, VOCABULARY):
        np.testing.assert_array_equal(packed.read, packed.ids)


@pytest.mark.parametrize("name", ["shuffled", "hidden"])
def test_a_chance_is_between_0_and_1(name, prepared):
    with pytest.raises(ConfigError, match=rf"{name} 40 is no chance between 0 and 1"):
        stream(prepared, **{name: 40})


def test_the_number_of_documents_is_uniform(prepared):
    counts = [int(stream(prepared).sample(i).source.max()) for i in range(900)]
    share = np.bincount(counts, minlength=3) / 900
    np.testing.assert_allclose(share, 1 / 3, atol=0.06)


def test_long_rows_waste_little(prepared):
    source = stream(prepared, rows=4, length=640)
    waste = np.mean([(next(source).sample < 0).mean() for _ in range(5)])
    assert waste < 0.01


def test_rows_are_as_full_as_they_can_be():
    """The slow twin tries every set of samples beside the first."""
    rng = np.random.default_rng(4)
    for _ in range(30):
        lengths, room = rng.integers(3, 30, 9).tolist(), 40
        first, *others = [i for i, needed in enumerate(lengths) if needed <= room]
        sets = [some for n in range(len(others) + 1) for some in combinations(others, n)]
        totals = [sum(lengths[i] for i in (first, *some)) for some in sets]
        (row,) = fullest_rows(lengths, rows=1, length=room)
        assert row[0] == first
        assert len(set(row)) == len(row)
        assert sum(lengths[i] for i in row) == max(t for t in totals if t <= room)


def test_rows_share_no_sample_and_the_first_goes_first():
    assert fullest_rows([6, 5, 4, 3], rows=2, length=10) == [[0, 2], [1, 3]]
    assert fullest_rows([11, 2], rows=2, length=10) == [[1], []]


def test_material_of_other_tokenizers_is_refused(prepared):
    with pytest.raises(ConfigError, match="prepared with 40 text ids and 20 codes"):
        Stream(prepared, StreamConfig(rows=1, length=64), Vocabulary(41, 20))


def test_a_damaged_file_is_named(prepared, tmp_path):
    prepared.save(tmp_path / "p")
    (tmp_path / "p" / "neighbours.npy").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match=r"neighbours\.npy cannot be read"):
        Prepared.open(tmp_path / "p")


def test_offline_neighbours_differ_by_draw_and_repeat_by_seed(encoder, documents, shelf):
    retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None, query_dropout=0.5))
    own = [frozenset({str(i)}) for i in range(len(documents))]
    options = {"draws": 4, "depth": 2}
    one = find_neighbours(retriever, documents, own, seed=1, **options)
    again = find_neighbours(retriever, documents, own, seed=1, **options)
    np.testing.assert_array_equal(one, again)
    assert (one != find_neighbours(retriever, documents, own, seed=2, **options)).any()
    assert len({one[:, draw].tobytes() for draw in range(4)}) > 1
    for row in range(len(documents)):
        assert row not in one[row]


@pytest.mark.parametrize("scope", ["main", "all"])
def test_retrieved_documents_are_masked_only_where_asked(prepared, scope):
    source = stream(prepared, masking=Masking(mean_spans=4.0, scope=scope), counts=(2,))
    samples = [source.sample(number) for number in range(30)]
    masked = [
        np.isin(one.ids, list(VOCABULARY.masks)) & (one.source > 0) & (one.learn == 0)
        for one in samples
    ]
    assert any(one.any() for one in masked) == (scope == "all")
    assert all(len(one.ids) <= source.config.length for one in samples)


def test_live_neighbours_are_the_offline_ones_where_nothing_is_forgotten(encoder, documents, shelf):
    own = [frozenset({str(i)}) for i in range(len(documents))]
    for dropout in (0.0, 0.5):
        config = RetrieverConfig(too_similar=None, query_dropout=dropout, query="text")
        retriever = Retriever(encoder, shelf, config)
        offline = find_neighbours(retriever, documents, own, draws=1, depth=2, seed=0)[:, 0]
        live = Live(retriever, documents.__getitem__, own.__getitem__)
        asked = [live.rows(row, dice(5, row)) for row in range(len(documents))]
        again = [live.rows(row, dice(5, row)) for row in range(len(documents))]
        np.testing.assert_array_equal(asked, again)
        if not dropout:
            np.testing.assert_array_equal(asked, offline)
        else:
            others = {live.rows(0, dice(6, i)).tobytes() for i in range(12)}
            assert len(others) > 1


def test_a_live_stream_shows_what_is_looked_up(prepared, encoder, documents, shelf):
    retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None, query="text"))
    live = Live(retriever, lambda row: documents[row % 6], lambda row: frozenset[str]())
    config = StreamConfig(rows=2, length=160, counts=(2,), masking=Masking(mean_spans=0))
    source = Stream(prepared, config, VOCABULARY, live=live)
    number = 3
    row = int(source._order(0)[number])
    rng = dice(config.seed, 2, number)
    rng.integers(1)
    rng.integers(prepared.neighbours.shape[1])
    expected = [flatten(prepared.memory[int(r)], VOCABULARY) for r in live.rows(row, rng)]
    one = source.sample(number)
    assert [one.ids[one.source == k].tolist() for k in (1, 2)] == expected


@pytest.mark.parametrize("scope", ["main", "all"])
def test_words_that_are_only_given_stand_whole_before_their_picture_and_are_not_learnt(
    prepared, scope
):
    given = (np.arange(50) % 2 == 0).astype(np.uint8)
    some = Prepared(prepared.documents, prepared.memory, prepared.neighbours, prepared.about, given)
    source = stream(some, masking=Masking(mean_spans=2, scope=scope), length=400)
    learnt = {False: 0, True: 0}
    for number in range(200):
        row = int(source._order(number // 50)[number % 50])
        words, picture = (segment.ids for segment in some.documents[row])
        one = source.sample(number)
        mine, said = one.source == 0, one.ids[one.source == 0].tolist()
        text = mine & (one.ids < 40)
        learnt[bool(given[row])] += int(one.learn[text].sum())
        assert one.learn[mine & (one.ids >= 40) & (one.ids < 60)].sum() == len(picture)
        if given[row]:
            assert tuple(said[: len(words)]) == words
    assert learnt[True] == 0 < learnt[False]


@pytest.mark.parametrize("scope", ["main", "all"])
def test_words_that_are_asked_for_come_last_after_every_document_and_weigh_as_much_as_all(
    prepared, scope
):
    asked = np.where(np.arange(50) % 2 == 0, Words.ASKED, Words.OPEN).astype(np.uint8)
    some = Prepared(prepared.documents, prepared.memory, prepared.neighbours, prepared.about, asked)
    source = stream(some, masking=Masking(mean_spans=2, scope=scope), length=400)
    louder = stream(some, asked=3.0, length=400)
    alone = stream(some, neighbours="none", length=400)
    other = stream(some, neighbours="random", length=400)
    for number in range(100):
        row = int(source._order(number // 50)[number % 50])
        if not asked[row]:
            continue
        (words, picture), one = some.documents[row], source.sample(number)
        answer = [*words.ids, VOCABULARY.eoss]
        assert one.ids[-len(answer) :].tolist() == answer
        assert (one.learn[-len(answer) :] > 0).all()
        assert not one.learn[: -len(answer)].any()
        document = len(words.ids) + 1 + len(picture.ids) + 1 + 1 + 1 + 1  # </s>, mask, <eoss>
        np.testing.assert_allclose(one.learn.sum(), document, rtol=1e-5)
        np.testing.assert_allclose(louder.sample(number).learn.sum(), 3 * document, rtol=1e-5)
        assert one.source.max() == other.sample(number).source.max() == 2
        assert alone.sample(number).ids.tolist() == one.ids[one.source <= 0].tolist()


def test_words_that_are_asked_for_need_a_picture():
    text = (Segment(Kind.TEXT, (1, 2)),)
    with pytest.raises(DocumentError, match="no picture with words"):
        choose_spans(text, Masking(), np.random.default_rng(0), words=Words.ASKED)


def test_what_becomes_of_words_is_kept_on_disk_in_sums_and_after_removals(prepared, tmp_path):
    words = (np.arange(50) % 3).astype(np.uint8)
    some = Prepared(
        prepared.documents, prepared.memory, prepared.neighbours,
        {**prepared.about, "ids": list(range(20)), "of_memory": False}, words,
    )  # fmt: skip
    some.save(tmp_path / "some")
    assert Prepared.open(tmp_path / "some").words.tolist() == words.tolist()
    prepared.save(tmp_path / "none")
    assert not Prepared.open(tmp_path / "none").words.any()
    (tmp_path / "none" / "given.npy").touch()
    with pytest.raises(CheckpointError, match="older racm3"):
        Prepared.open(tmp_path / "none")
    assert (prepared + some).words.tolist() == [0] * 50 + words.tolist()
    assert some.without({3, 4}).words.tolist() == words.tolist()
