import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import zscore

from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import things
from racm3.document import Document, Image, Text
from racm3.errors import CheckpointError, ConfigError, DocumentError
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Apart, Dropout, embed, embed_memory, embed_queries, mix, unit
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.fusion import by_standard_scores, fused, nearest_way, taking_turns
from racm3.retrieval.index import Block, ExactIndex, Hits
from racm3.retrieval.lexical import BM25, Fields, heads, phrases, stem, whole, words
from racm3.retrieval.query import ask, fits, halves, mirrored, one_side, places, ways_to_ask
from racm3.retrieval.retriever import Neighbour, Retriever, one_by_one, two_sided
from racm3.retrieval.selection import select
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice
from tests.conftest import picture


def vectors(count: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 7))
def test_blocks_find_what_sorting_everything_finds(rows, count, block):
    every, queries = vectors(rows), vectors(3, seed=1)
    ids = np.arange(rows, dtype=np.int64) * 10
    parts = [Block(ids[i : i + block], every[i : i + block]) for i in range(0, rows, block)]
    hits = ExactIndex(lambda: parts).search(queries, count)
    scores = queries @ every.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(hits.ids[:, : order.shape[1]], ids[order])
    assert (hits.ids[:, rows:] == -1).all()


def test_mixing_is_symmetric_and_ends_on_the_sphere():
    text, image = vectors(4), vectors(4, seed=1)
    np.testing.assert_allclose(mix(text * 3, image), mix(image, text * 0.5), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(mix(text, image), axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mix(text, None), text, atol=1e-6)
    with pytest.raises(DocumentError):
        mix(None, None)


def test_a_document_is_the_mean_of_its_sides(encoder: ClipEncoder, documents):
    text = encoder.texts([d.text for d in documents])
    image = encoder.images([d.images[0] for d in documents])
    np.testing.assert_allclose(embed(encoder, documents), mix(text, image), atol=1e-5)


def test_a_long_text_is_read_in_windows_never_cut(encoder: ClipEncoder):
    room = encoder.clip.config.text_config.max_position_embeddings - 2
    text = "the flag of Bhutan and a guitar " * 30
    windows = encoder.windows(text)
    inner = [id_ for window in windows for id_ in window[1:-1]]
    assert len(windows) > 1
    assert max(map(len, windows)) == room + 2
    assert inner == encoder.tokenizer.encode(text, add_special_tokens=False).ids
    each = np.stack([_one_window(encoder, window) for window in windows])
    np.testing.assert_allclose(encoder.texts([text])[0], unit(each.mean(0)[None])[0], atol=1e-5)


def test_begin_and_end_come_from_the_tokenizer_whatever_an_old_config_says(encoder, tmp_path):
    encoder.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"] |= {"bos_token_id": 7, "eos_token_id": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    opened = ClipEncoder.open(tmp_path)
    assert opened.windows("a guitar") == encoder.windows("a guitar")
    np.testing.assert_array_equal(opened.texts(["a guitar"]), encoder.texts(["a guitar"]))


def _one_window(encoder: ClipEncoder, window: list[int]) -> np.ndarray:
    with torch.inference_mode():
        vector = encoder.clip.text(torch.tensor([window]), torch.tensor([len(window)]))
    return unit(vector.numpy())[0]


def test_batching_does_not_change_a_vector(encoder: ClipEncoder):
    texts = ["a guitar", "a much longer text about the flag of Bhutan on blue"]
    alone = np.concatenate([encoder.texts([text]) for text in texts])
    np.testing.assert_allclose(encoder.texts(texts), alone, atol=1e-5)


def test_query_dropout_forgets_about_its_rate(encoder: ClipEncoder):
    kept = [len(Dropout(0.2, dice(i)).keep(50)) for i in range(300)]
    assert np.mean(kept) == pytest.approx(40, abs=0.8)
    assert Dropout(0.99, dice(0)).keep(3)
    full = encoder.images([picture(0)])
    dropped = encoder.images([picture(0)], Dropout(0.5, dice(0)))
    assert not np.allclose(full, dropped)


def test_near_copies_of_the_query_and_of_each_other_are_skipped():
    near = [[1, 0, 0], [0.6, 0.8, 0], [0.61, 0.79, 0], [0, 0, 1]]
    candidates = unit(np.array(near, dtype=np.float32))
    query = np.array([1, 0, 0], dtype=np.float32)
    scores = candidates @ query
    asked = (scores, np.arange(4), candidates, list("abcd"))
    assert select(*asked, count=3) == [1, 3]
    assert select(*asked, count=3, too_similar=None) == [0, 1, 2]
    assert select(*asked, count=1, exclude=frozenset("ab")) == [2]


@given(st.integers(0, 1000), st.floats(0.2, 0.99))
def test_what_is_kept_is_pairwise_dissimilar_and_in_order(seed, limit):
    every = vectors(20, dim=3, seed=seed)
    scores = every @ vectors(1, dim=3, seed=seed + 1)[0]
    rows = np.argsort(-scores)[:15]
    scores = scores[rows].astype(np.float32)
    kept = select(scores, rows, every, [str(i) for i in range(20)], count=5, too_similar=limit)
    assert kept == sorted(kept)
    near = every[rows] @ every[rows].T
    for one in kept:
        assert scores[one] <= limit
        assert all(near[one, other] <= limit + 1e-6 for other in kept if other < one)


def test_bm25_is_its_formula():
    texts = ["red apple", "green apple apple tree", "blue sky over the sea"]
    scores = BM25(texts).scores("apple sky")
    average = np.mean([len(words(text)) for text in texts])
    for row, text in enumerate(texts):
        expected = 0.0
        for word in ("apple", "sky"):
            times = words(text).count(word)
            having = sum(word in words(t) for t in texts)
            rarity = math.log(1 + (3 - having + 0.5) / (having + 0.5))
            norm = times + 1.2 * (1 - 0.75 + 0.75 * len(words(text)) / average)
            expected += rarity * times * 2.2 / norm
        assert scores[row] == pytest.approx(expected, abs=1e-5)


def test_a_document_never_neighbours_its_own_group(encoder, documents):
    shelf = ListShelf(documents, embed(encoder, documents), groups=list("aabbcc"))
    retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None))
    own = [frozenset(g) for g in "aabbcc"]
    found = retriever.neighbours(documents, 6, rng=dice(0), exclude=own)
    for row, neighbours in enumerate(found):
        assert len(neighbours) == 4
        assert not {n.id // 2 for n in neighbours} & {row // 2}


def test_the_query_finds_itself_first_and_scores_descend(encoder, documents, shelf):
    retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None))
    for row, neighbours in enumerate(retriever.neighbours(documents, 4, rng=dice(0))):
        scores = [n.score for n in neighbours]
        assert neighbours[0].id == row
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("strategy", ["bm25", "random"])
def test_other_strategies_come_through_the_same_door(encoder, documents, shelf, strategy):
    retriever = Retriever(encoder, shelf, RetrieverConfig(strategy=strategy))
    found = retriever.neighbours([Document.of("leopard")], 2, rng=dice(3))[0]
    assert len(found) == 2
    if strategy == "bm25":
        assert documents[found[0].id].text == "a leopard"
        with pytest.raises(DocumentError, match="BM25 searches by words"):
            retriever.neighbours([Document.of(picture(0))], 2, rng=dice(0))


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), min_size=2, max_size=8),
    st.sampled_from([(1, 1), (0.4, 0.6)]),
)
def test_scores_are_fused_as_scipy_standardises_them(rows, weights):
    one, other = np.array(rows, dtype=np.float32).T
    order = by_standard_scores(one, other, weights=weights)
    assert sorted(order.tolist()) == list(range(len(rows)))
    worth = sum(
        w * (zscore(some.astype(float)) if np.ptp(some) else 0.0 * some)
        for w, some in zip(weights, (one, other), strict=True)
    )
    assert worth[order] == pytest.approx(np.sort(worth)[::-1], abs=1e-4)


def test_what_no_other_document_says_decides_and_what_many_say_does_not():
    meaning = np.array([0.9, 0.5, 0.4, 0.3, 0.2, 0.1], dtype=np.float32)
    rare = np.array([0, 0, 0, 0, 0, 3], dtype=np.float32)
    common = np.array([0, 3, 3, 3, 0, 3], dtype=np.float32)
    silent = np.zeros(6, dtype=np.float32)
    first = [by_standard_scores(meaning, some, weights=(0.4, 0.6))[0] for some in (rare, common)]
    assert first == [5, 1]
    assert by_standard_scores(meaning, silent, weights=(0.4, 0.6)).tolist() == [0, 1, 2, 3, 4, 5]
    assert by_standard_scores(silent, silent, weights=(0.4, 0.6)).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_an_encoder_does_not_know_has_no_say_where_words_do():
    """The first document is near in meaning; the last one's vector tells the words."""
    documents = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float32)
    meaning, told, silent = documents[0], np.ones(1, np.float32), np.zeros(3, np.float32)
    known, unknown = (Apart(meaning, told, np.float32(much)) for much in (1, 0))
    assert fused(known, documents, silent)[1].tolist() == [1, 0, 0]
    assert fused(known, documents, silent)[0].tolist() == [0, 2, 1]
    assert fused(unknown, documents, silent)[0].tolist() == [2, 0, 1]
    # Words that are compared one by one count for more than either.
    shared = np.array([0, 3, 0], np.float32)
    assert [fused(one, documents, shared)[0][0] for one in (known, unknown)] == [1, 1]


def test_a_hybrid_finds_a_name_that_no_encoder_has_met(encoder, documents):
    more = [*documents, Document.of("blorzin", picture(9)), Document.of("a train in the snow")]
    vectors = embed(encoder, more)
    vectors[len(documents)] = -embed(encoder, [Document.of("a blorzin in the snow")])[0]

    def found(query: Document, strategy: str) -> list:
        config = RetrieverConfig(strategy=strategy, too_similar=None)
        return Retriever(encoder, ListShelf(more, vectors), config).neighbours(
            [query], 2, rng=dice(0)
        )[0]

    named = found(Document.of("blorzin"), "hybrid")
    assert len(documents) in {one.id for one in named}
    assert len(documents) not in {one.id for one in found(Document.of("blorzin"), "clip")}
    asked = embed(encoder, [Document.of("blorzin")])[0]
    for one in named:
        assert one.score == pytest.approx(float(vectors[one.id] @ asked), abs=1e-5)
    seen = Document.of(picture(1))
    assert [one.id for one in found(seen, "hybrid")] == [one.id for one in found(seen, "clip")]


@pytest.mark.parametrize("strategy", ["clip", "hybrid"])
def test_an_empty_memory_answers_nothing(encoder, strategy):
    empty = ListShelf([], np.zeros((0, encoder.dim), np.float32))
    retriever = Retriever(encoder, empty, RetrieverConfig(strategy=strategy))
    assert retriever.neighbours([Document.of("a cat")], 2, rng=dice(0)) == [[]]


def test_words_ask_alone_where_words_are_searched(encoder, shelf):
    config = RetrieverConfig(strategy="bm25", clauses=" above ")
    both = Document.of("a leopard above a train", picture(0))
    found = Retriever(encoder, shelf, config).neighbours([both], 2, rng=dice(0))[0]
    texts = {document.text for document in shelf.documents([one.id for one in found])}
    assert texts == {"a leopard", "a train"}


def test_an_article_does_not_answer_for_a_thing():
    assert words("A button on the left") == ["button", "left"]
    assert words("On, at, the") == ["on", "at", "the"]
    scores = BM25(["A button", "blorzin"]).scores("a blorzin on a field")
    assert scores.argmax() == 1


def test_phrases_tell_apart_what_the_same_words_do_not():
    texts = ["hourglass done", "hourglass not done", "flag of the night", "night flag"]
    asked = ["an hourglass not done on a pink field", "the night flag on blue"]
    assert phrases("hourglass not done on a field") == [
        "hourglass not", "not done", "done on", "a field",
    ]  # fmt: skip
    alone, paired = (BM25(texts, paired=one).search(asked, 1).ids[:, 0] for one in (False, True))
    assert paired.tolist() == [1, 3]
    assert alone.tolist() != [1, 3]


def test_a_name_finds_what_is_called_so_before_what_only_has_the_word():
    texts = ["houses", "house (home)", "horse face", "horse (race)", "a long story of a house"]
    asked = ["a house", "House", "the horse"]
    found = BM25(texts, stems=True, paired=True).search(asked, 1).ids[:, 0]
    assert found.tolist() == [1, 1, 3]
    assert BM25(texts, stems=True).search(asked[:1], 1).ids[:, 0] == [0]
    assert whole("A house (home), red (or not)") == ["=house"]
    assert whole("one two three four five six seven") == whole("") == []


def test_what_a_query_ends_with_is_its_name_and_the_longest_that_is_known_counts():
    texts = ["old woman (adult)", "woman", "wall", "woman pilot", "clock", "alarm clock"]
    names = ["granny", "", "", "", "", "wall clock"]
    told = {"stems": True, "paired": True}
    both = Fields([BM25(texts, **told), BM25(names, stems=True, names=True)])
    for asked, found in {
        "a happy woman": 1, "an old woman": 0, "an old pilot": 3, "the old clock": 4,
        "a tall wall clock": 5, "a cute granny": 0, "woman at the wall": 2,
    }.items():  # fmt: skip
        assert both.search([asked], 1).ids[0, 0] == found
    assert heads("a dog on the old wall") == ["=dog old wall", "=old wall", "=wall"]
    assert len(heads("one two three four five six seven")) == 6


def test_a_retriever_asks_by_phrases_where_it_is_told_to(encoder):
    shelf = ListShelf(
        made := [Document.of("hourglass done"), Document.of("hourglass not done")],
        embed(encoder, made),
    )
    first = {}
    for on in (False, True):
        config = RetrieverConfig(strategy="bm25", query="text", phrases=on, too_similar=None)
        query = Document.of("an hourglass not done, pink background")
        first[on] = Retriever(encoder, shelf, config).neighbours([query], 1, rng=dice(0))[0][0].id
    assert first == {False: 0, True: 1}


def test_endings_do_not_count_where_words_are_compared_by_their_stems(encoder):
    assert [stem(word) for word in ("dogs", "running", "runs", "run", "xr")] == [
        "dog", "run", "run", "run", "xr",
    ]  # fmt: skip
    texts, asked = ["a cat runs", "two dogs jumping", "a boat"], "the dog jumps"
    stemmed = [" ".join(map(stem, words(text))) for text in (*texts, asked)]
    expected = BM25(stemmed[:-1]).scores(stemmed[-1])
    np.testing.assert_array_equal(BM25(texts, stems=True).scores(asked), expected)
    assert expected.argmax() == 1
    assert not BM25(texts).scores(asked).any()
    shelf = ListShelf(made := [Document.of(text) for text in texts], embed(encoder, made))
    for on in (False, True):
        config = RetrieverConfig(strategy="bm25", query="text", stems=on, too_similar=None)
        found = Retriever(encoder, shelf, config).neighbours([Document.of(asked)], 1, rng=dice(0))
        assert (found[0][0].id == 1) == on


def test_metadata_finds_what_the_text_does_not_say(encoder):
    texts = ["ghost (halloween)", "a pretzel", "a ghost ship"]
    tags = ["halloween, spooky monster", "salty", ""]
    made = [Document.of(text) for text in texts]
    shelf = ListShelf(made, embed(encoder, made), columns={"tags": tags})

    def found(text: str, *columns: str) -> list[int]:
        config = RetrieverConfig(strategy="bm25", columns=columns, too_similar=None)
        hits = Retriever(encoder, shelf, config).lexical.search([text], 3)
        return hits.ids[0][hits.scores[0] > 0].tolist()

    assert found("something spooky") == found("something spooky", "nothing") == []
    assert found("something spooky", "tags") == [0]
    assert found("salty ghost", "tags") == [1, 0, 2]


def test_other_names_find_as_a_whole_and_none_of_their_words_alone(encoder):
    texts = ["a fire engine", "a pickup truck", "a camp fire", "a settee"]
    called = ["fire truck, red engine", "", "", "couch"]
    made = [Document.of(text) for text in texts]
    shelf = ListShelf(made, embed(encoder, made), columns={"called": called})

    def found(text: str, *aliases: str) -> list[int]:
        config = RetrieverConfig(strategy="bm25", aliases=aliases, too_similar=None)
        hits = Retriever(encoder, shelf, config).lexical.search([text], 4)
        return hits.ids[0][hits.scores[0] > 0].tolist()

    assert found("a fire truck", "called") == [0, 1, 2]
    assert found("a fire truck", "called")[0] != found("a truck", "called")[0] == 1
    assert found("red", "called") == found("couches") == []
    assert found("two couches", "called") == [3]


def test_a_name_is_found_by_its_plural_and_before_what_is_said_of_it(encoder):
    """Of all the words of a question it is its name that counts most."""
    texts = ["a wine glass", "reading glasses", "a cherry", "a dog", "a spotted giraffe with spots"]
    texts += ["a fir", "a fire"]
    fields = Fields([BM25(texts, stems=True, paired=True)])
    for text, name in {
        "two small wine glasses": "=wine glass",
        "cherries": "=cherry",
        "two fires": "=fire",
        "reading glasses": "=reading glasses",
        "many old glasses": "",
        "a dog with spots": "=dog",
        "a cherry on a dog": "=dog",
        "Dog In Love": "=dog",
        "spots": "",
    }.items():
        assert fields.named(text) == name
    found = fields.search(["two wine glasses", "a dog with spots", "giraffe with spots"], 1)
    assert found.ids[:, 0].tolist() == [0, 3, 4]
    assert Fields([BM25(texts, paired=True)]).named("cherries") == ""


def test_it_is_known_which_documents_share_a_word_with_what_was_asked(encoder):
    made = [Document.of(text) for text in ("a red boat", "two boats", "a kite")]
    shelf = ListShelf(made, embed(encoder, made))

    def share(text: str, **config) -> list[bool | None]:
        asked = Retriever(encoder, shelf, RetrieverConfig(unasked=" on red", **config))
        return asked.share_words(Document.of(text), [0, 1, 2])

    assert share("the boat", strategy="hybrid") == [True, True, False]
    assert share("a submarine on red", strategy="bm25") == [False] * 3
    assert share("the boat") == share("", strategy="hybrid") == [None] * 3
    assert share("the boat", strategy="hybrid", candidates=2) == [True, True, None]


def test_however_many_names_a_document_has_each_is_worth_the_same():
    few, many = BM25(["sofa", "hat", ""], names=True), BM25(["sofa, b, c d", "hat", ""], names=True)
    np.testing.assert_allclose(few.scores("a sofa"), many.scores("a sofa"))
    assert few.scores("a sofa").argmax() == 0


@given(st.lists(st.text("pqr ", max_size=12), min_size=1, max_size=8), st.text("pqr ", max_size=8))
def test_what_the_text_says_counts_once(texts, asked):
    """A column that repeats the texts adds nothing, one that shares no word its own BM25."""
    strange = [text.translate(str.maketrans("pqr", "xyz")) for text in (*texts, asked)]
    both, others = f"{asked} {strange.pop()}", strange
    np.testing.assert_array_equal(BM25(texts, beside=texts).scores(asked), 0)
    hits = Fields([BM25(texts), BM25(others, beside=texts)]).search([both], len(texts))
    apart = BM25(texts).scores(both) + BM25(others).scores(both)
    np.testing.assert_allclose(hits.scores[0], apart[hits.ids[0]], rtol=1e-6)


def test_what_a_document_says_joined_is_asked_for_as_one(encoder):
    names = ("hammer and wrench", "fork and knife", "wrench", "cat", "dog", "cat face")
    names += ("flag of Chad", "flag of Mali")
    made = [Document.of(name) for name in names]
    shelf = ListShelf(made, np.zeros((len(made), encoder.dim), np.float32))
    config = RetrieverConfig(strategy="bm25", clauses=" above ", joins=" and ", too_similar=None)
    asks = Retriever(encoder, shelf, config)

    def found(text: str) -> list[str]:
        (hits,) = asks.neighbours([Document.of(text)], 2, rng=dice(0))
        return [names[one.id] for one in hits]

    assert found("a dog and a cat") == ["dog", "cat"]
    assert found("a hammer and a wrench")[0] == "hammer and wrench"
    assert found("a fork and a dog") == ["fork and knife", "dog"]
    assert found("a hammer and wrench above a cat") == ["hammer and wrench", "cat"]
    assert found("a cat") == ["cat", "cat face"]
    assert found("the flag of Chad and the flag of Mali") == ["flag of Chad", "flag of Mali"]
    both = [Document.of("a dog and a cat", picture(n)) for n in (1, 2)]
    (one,), (other,) = asks._divided([[[query]] for query in both], asks._by_words, None)
    assert [part.images for part in one] == [(), (), both[0].images]
    assert [part.images for part in other] == [(), (), both[1].images]


def test_each_thing_that_is_asked_for_may_find_one_document(encoder):
    names = ("hammer and wrench", "wrench", "cat", "dog", "cat face", "dog face")
    made = [Document.of(name) for name in names]
    shelf = ListShelf(made, np.zeros((len(made), encoder.dim), np.float32))
    config = RetrieverConfig(strategy="bm25", clauses=" above ", joins=" and ", too_similar=None)
    asks = Retriever(encoder, shelf, config)

    def found(text: str, most: int = 9, leave_out: tuple[int, ...] = ()) -> list[str]:
        hits = asks.neighbours(
            [Document.of("a wrench"), Document.of(text)], most, rng=dice(0), each=True,
            leave_out=leave_out,
        )  # fmt: skip
        assert leave_out or len(hits[0]) == min(1, most)
        return [names[one.id] for one in hits[1]]

    assert found("a dog and a cat") == ["dog", "cat"]
    assert found("a dog and a cat", most=1) == ["dog"]
    assert found("a dog and a cat", most=0) == []
    assert found("a dog and a cat above a wrench") == ["dog", "cat", "wrench"]
    assert found("a hammer and a wrench") == ["hammer and wrench"]
    assert found("a dog above a dog") == found("a dog") == ["dog"]
    assert found("a dog", leave_out=(3,)) == ["dog face"]
    assert found("a dog and a cat", leave_out=(3,)) == ["cat", "dog face"]
    assert found("a dog", leave_out=tuple(range(6))) == []


def test_who_divides_nothing_asks_for_one_thing(encoder, shelf):
    for strategy in ("clip", "hybrid", "bm25", "random"):
        asks = Retriever(encoder, shelf, RetrieverConfig(strategy=strategy, too_similar=None))
        query = Document.of("a red cat above two dogs")
        (hits,) = asks.neighbours([query], 4, rng=dice(0), each=True)
        assert hits == asks.neighbours([query], 1, rng=dice(0))[0]


def test_clauses_take_turns(encoder, shelf):
    def found(text: str, **changes: object) -> list[int]:
        retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None, **changes))
        query = Document.of(text)
        return [one.id for one in retriever.neighbours([query], 4, rng=dice(0))[0]]

    one, other = found("a red cat"), found("two dogs")
    both = found("a red cat above two dogs", clauses=" above | left of ")
    assert both[0] == one[0]
    assert both[1] == next(i for i in other if i != one[0])
    assert len(set(both)) == 4
    assert found("a red cat", clauses=" above ") == one
    with pytest.raises(ConfigError, match="regular expression"):
        RetrieverConfig(clauses="(")
    with pytest.raises(ConfigError, match="joins"):
        RetrieverConfig(joins="(")
    with pytest.raises(ConfigError, match="leave the picture"):
        RetrieverConfig(layouts=(((0.5, 1.5),),))


def test_a_picture_asks_by_its_halves_where_both_are_nearer_and_differ(encoder):
    shown = [*halves(picture(3))[0], *halves(picture(4))[1], Document.of("a train", picture(9))]
    shelf = ListShelf(shown, embed_memory(encoder, shown))
    plain = Retriever(encoder, shelf, RetrieverConfig(too_similar=None))
    halved = Retriever(encoder, shelf, RetrieverConfig(too_similar=None, halves=True))

    def found(some: Retriever, *parts: Image | str, each: bool = False) -> list[int]:
        (hits,) = some.neighbours([Document.of(*parts)], 4, rng=dice(0), each=each)
        return [one.id for one in hits]

    taken = []
    for number in range(2, 8):
        image = picture(number)
        whole, *cuts = ways_to_ask(Document.of(image), halved.config)
        assert whole == [Document.of(image)]
        near = [embed_queries(encoder, way) @ plain.resident.vectors.T for way in (whole, *cuts)]
        best = {
            way: scores.max(axis=1).min()
            for way, scores in enumerate(near)
            if way == 0 or len(set(scores.argmax(axis=1))) == 2
        }
        chosen = max(best, key=best.__getitem__)
        turns = np.argsort(-near[chosen], axis=1, kind="stable").T.ravel()
        ids = plain.resident.ids[turns]
        assert found(halved, image) == list(dict.fromkeys(ids.tolist()))[:4]
        assert found(halved, image, each=True) == found(halved, image)[: 2 if chosen else 1]
        taken.append(chosen)
        # Words, and several pictures, ask as ever.
        assert found(halved, "a red cat", image) == found(plain, "a red cat", image)
        assert found(halved, image, image) == found(plain, image, image)
    assert taken[1:3] == [1, 2]
    assert 0 in taken


def test_a_way_to_ask_is_taken_where_it_is_nearer_and_finds_different_things():
    def chosen(*best: tuple[int, float]) -> list[int]:
        ids, scores = (np.array([[one[i]] for one in best]) for i in (0, 1))
        hits, counts = nearest_way(Hits(ids, scores.astype(np.float32)), [[1, 2, 2]])
        assert counts == [len(hits.ids)]
        return hits.ids[:, 0].tolist()

    assert chosen((0, 0.5), (1, 0.6), (2, 0.7), (3, 0.9), (4, 0.4)) == [1, 2]
    assert chosen((0, 0.5), (1, 0.6), (2, 0.7), (3, 0.9), (4, 0.8)) == [3, 4]
    assert chosen((0, 0.5), (1, 0.6), (1, 0.7), (3, 0.9), (4, 0.4)) == [0]
    assert chosen((0, 0.6), (1, 0.6), (2, 0.7), (3, 0.6), (3, 0.9)) == [0]


def test_three_places_may_find_one_document():
    ids, scores = np.array([[0], [4], [4], [4]]), np.array([[0.5], [0.6], [0.9], [0.7]])
    hits, counts = nearest_way(Hits(ids, scores.astype(np.float32)), [[1, 3]])
    assert (hits.ids[:, 0].tolist(), counts) == ([4, 4, 4], [3])
    assert taking_turns(hits, counts)[1] == [[4, 4, 4]]
    scores[2] = 0.4
    assert nearest_way(Hits(ids, scores.astype(np.float32)), [[1, 3]])[1] == [1]


def test_three_places_are_taken_where_halves_score_about_the_same():
    """The upper half of a cat, a cat and a dog is a cat."""
    ids = np.array([[2], [0], [1], [0], [0], [1]])
    for least, taken in ((0.905, 3), (0.895, 3), (0.875, 2)):
        scores = np.array([[0.7], [0.93], [0.9], [0.95], [0.94], [least]], np.float32)
        assert nearest_way(Hits(ids, scores), [[1, 2, 3]])[1] == [taken]


def test_a_layout_asks_only_where_nothing_stands_between_its_places():
    three = ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75))
    four = (*three[:2], (0.25, 0.75), (0.75, 0.75))
    for count, fitting in ((3, [three, four]), (4, [four])):
        scene = Scene(things()[:count], size="small", colour="blue", texture="checked")
        picture = scene.draw()
        assert [layout for layout in (three, four) if fits(picture, layout)] == fitting
        ways = ways_to_ask(Document.of(picture), RetrieverConfig(layouts=(three, four)))
        assert ways == [[Document.of(picture)], *(places(picture, one) for one in fitting)]


def test_what_is_asked_for_twice_is_found_twice_unless_it_is_all_that_is_asked_for():
    cat, dog, bird = (Neighbour(row, 1.0 - row / 10) for row in range(3))
    assert one_by_one([cat, dog], [0, 1, 0]) == [cat, dog, cat]
    assert one_by_one([cat, dog, bird], [0, 0, 1, 2]) == [cat, cat, dog, bird]
    assert one_by_one([cat, dog], [0, 1]) == [cat, dog]
    assert one_by_one([cat], [0, 0, 0]) == [cat]
    assert one_by_one([cat], [0, 0, 0], alike=True) == [cat] * 3
    assert one_by_one([bird], [0, 0, 0], alike=True) == [bird]  # the cat was left out
    assert one_by_one([cat, bird], [0, 0, 1]) == [cat, bird]  # the dog was left out
    assert one_by_one([], [-1, -1]) == []


def test_a_picture_of_one_thing_in_every_place_finds_it_for_each(encoder):
    layout = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
    cell = np.pad(picture(1, 24, 24).pixels, ((4, 4), (4, 4), (0, 0)), constant_values=255)
    image = Image(np.tile(cell, (2, 2, 1)))
    shown = [places(image, layout)[0], Document.of("a train", picture(9))]
    shelf = ListShelf(shown, embed_memory(encoder, shown))
    retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None, layouts=(layout,)))
    (each,) = retriever.neighbours([Document.of(image)], 4, rng=dice(0), each=True)
    assert [one.id for one in each] == [0] * 4
    (every,) = retriever.neighbours([Document.of(image)], 4, rng=dice(0))
    assert [one.id for one in every] == [0, 1]


@pytest.mark.parametrize("asked", ["a b, a b and a c", "a c, a b, a b and a d"])
def test_one_document_for_each_thing_however_often_it_is_asked_for(encoder, asked):
    shown = [Document.of(f"a {word}", picture(row)) for row, word in enumerate("bcd")]
    shelf = ListShelf(shown, embed_memory(encoder, shown))
    config = RetrieverConfig(too_similar=None, strategy="bm25", clauses=", | and ")
    retriever = Retriever(encoder, shelf, config)

    def found(text: str, **how) -> list[str]:
        (some,) = retriever.neighbours([Document.of(text)], 4, rng=dice(0), **how)
        return [one.text for one in retriever.fetch(some)]

    things = asked.replace(" and ", ", ").split(", ")
    assert found(asked, each=True) == things
    assert found(asked)[: len(set(things))] == list(dict.fromkeys(things))
    assert found("a b, a b and a b", each=True) == ["a b"]
    fewer = found(asked, each=True, leave_out=[shown.index(Document.of("a c", picture(1)))])
    assert "a c" not in fewer
    assert len(fewer) == len(set(fewer))


@given(st.integers(0, 2**32 - 1))
def test_a_gap_mirrors_what_is_left_at_the_nearest_edge(seed):
    rng = np.random.default_rng(seed)
    image, mask = Image(rng.integers(0, 256, (7, 5, 3), np.uint8)), rng.random((7, 5)) < 0.6
    seen, left = mirrored(image, mask).pixels, np.argwhere(~mask)
    assert (seen[~mask] == image.pixels[~mask]).all()
    for at in np.argwhere(mask) if len(left) else []:
        away = np.linalg.norm(left - at, axis=1)
        allowed = []
        for edge in left[away == away.min()]:
            there = 2 * edge - at + np.sign(at - edge)
            inside = (there >= 0).all() and (there < mask.shape).all() and not mask[tuple(there)]
            allowed.append(image.pixels[tuple(there if inside else edge)].tolist())
        assert seen[tuple(at)].tolist() in allowed


def test_a_large_picture_with_a_gap_asks_as_a_smaller_one_and_tells_nothing_of_the_gap():
    pixels = np.zeros((1200, 1100, 3), np.uint8)
    pixels[600:] = 255
    mask = np.zeros((1200, 1100), bool)
    mask[600:] = True
    seen = mirrored(Image(pixels), mask)
    assert (seen.height, seen.width) == (559, 512)
    assert not seen.pixels.any()
    assert (mirrored(picture(1), np.ones((16, 16), bool)).pixels == 127).all()


def test_halves_are_the_picture_and_its_ground():
    pixels = np.full((6, 8, 3), 7, np.uint8)
    pixels[1:5, 1:7] = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    (left, right), (upper, lower) = (
        [one.images[0].pixels for one in cut] for cut in halves(Image(pixels))
    )
    for half, kept in (
        (left, np.s_[:, :4]), (right, np.s_[:, 4:]), (upper, np.s_[:3]), (lower, np.s_[3:]),
    ):  # fmt: skip
        assert (half[kept] == pixels[kept]).all()
        rest = np.ones((6, 8), bool)
        rest[kept] = False
        assert (half[rest] == 7).all()
    large = Image(np.zeros((1100, 1200, 3), np.uint8))
    assert halves(large)[0][0].images[0].pixels.shape == (512, 559, 3)
    (thin, other), _ = halves(Image(np.zeros((1, 1, 3), np.uint8)))
    assert thin.images[0].pixels.shape == other.images[0].pixels.shape == (1, 1, 3)


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (64, 48), (1, 1), (2, 5)])
def test_a_place_is_laid_in_the_middle_whatever_the_picture_s_sides(rows, columns):
    layout = ((0.25, 0.25), (0.75, 0.75), (0.0, 0.5), (1.0, 1.0))
    pixels = np.arange(1, rows * columns * 3 + 1).reshape(rows, columns, 3) % 251 + 1
    image = Image(pixels.astype(np.uint8))
    cut = [one.images[0].pixels for one in places(image, layout)]
    high, wide = max(1, rows // 2), max(1, columns // 2)
    top, left = (rows - high) // 2, (columns - wide) // 2
    for shown, (x, y) in zip(cut, layout, strict=True):
        inner = shown[top : top + high, left : left + wide]
        found = [
            (at, to)
            for at in range(rows - high + 1)
            for to in range(columns - wide + 1)
            if (image.pixels[at : at + high, to : to + wide] == inner).all()
        ]
        wanted = (min(max(y * rows - high / 2, 0), rows - high),
                  min(max(x * columns - wide / 2, 0), columns - wide))  # fmt: skip
        assert any(np.abs(np.subtract(one, wanted)).max() <= 0.5 for one in found)
        around = np.ones((rows, columns), bool)
        around[top : top + high, left : left + wide] = False
        assert len(np.unique(shown[around].reshape(-1, 3), axis=0)) <= 1


@pytest.mark.parametrize("strategy", ["clip", "bm25", "hybrid"])
def test_no_document_is_found_by_what_is_not_asked_for(encoder, shelf, strategy):
    def found(text: str, unasked: str = "") -> list:
        config = RetrieverConfig(too_similar=None, strategy=strategy, unasked=unasked)
        query = Document.of(text, picture(9))
        return Retriever(encoder, shelf, config).neighbours([query], 4, rng=dice(0))[0]

    styled, pattern = "an apple in guitar style on a train", " in (?:guitar|leopard) style"
    assert found(styled, pattern) == found("an apple on a train") != found(styled)
    assert found("two trains in flag style", pattern) == found("two trains in flag style")
    assert found(" in guitar style", pattern) == found(" in guitar style")
    with pytest.raises(ConfigError, match=r"unasked .* regular expression"):
        RetrieverConfig(unasked="(")


def test_modality_decides_how_much_of_a_neighbour_is_read(encoder, shelf):
    for modality, kind in (("text", Text), ("image", Image)):
        retriever = Retriever(encoder, shelf, RetrieverConfig(modality=modality))
        found = retriever.neighbours([Document.of("a train")], 2, rng=dice(0))[0]
        for document in retriever.fetch(found):
            assert [type(part) for part in document.parts] == [kind]


def test_training_queries_use_one_side_and_both_come_up(documents):
    kinds = {type(one_side(documents[0], dice(i)).parts[0]) for i in range(20)}
    assert kinds == {Text, Image}
    assert all(len(one_side(d, dice(1)).parts) == 1 for d in documents)
    with pytest.raises(DocumentError, match="no image to query by"):
        ask(Document.of("words"), "image")


def test_cm3leons_variant_takes_as_many_by_picture_as_by_text(encoder, documents, shelf):
    retriever = Retriever(encoder, shelf, RetrieverConfig(too_similar=None))
    found = two_sided(retriever, documents[0], each=2, rng=dice(0))
    assert len({n.id for n in found}) == len(found) == 4


def test_a_clip_that_is_not_there_says_what_to_give(tmp_path):
    with pytest.raises(CheckpointError, match="there is no CLIP folder"):
        ClipEncoder.open(tmp_path / "nothing")
