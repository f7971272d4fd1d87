"""Caption scores against the COCO reference implementation and algebra."""

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from racm3.evaluation.captions import cider, coco_scores, words

WORDS = st.sampled_from(["a", "the", "dog", "cat", "runs", "sits", "on", "red", "mat", "quickly"])
TEXT = st.lists(WORDS, max_size=9)
CORPUS = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=4)), min_size=2, max_size=6)


@given(CORPUS)
def test_cider_d_is_the_reference_implementations(corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pycocoevalcap.cider.cider_scorer import CiderScorer

        scorer = CiderScorer(n=4, sigma=6.0)
        for said, right in corpus:
            scorer += (" ".join(said), [" ".join(one) for one in right])
        scorer.compute_doc_freq()
        expected = scorer.compute_cider()
    ours = cider([said for said, _ in corpus], [right for _, right in corpus])
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_a_caption_that_says_what_all_say_scores_ten_and_another_zero():
    texts = [["a", "red", "dog", "runs"], ["the", "cat", "sits", "quickly"], ["on", "a", "mat"]]
    for variant in ("cider", "cider-d"):
        same = cider(texts[:2], [[t] for t in texts[:2]], variant=variant)
        np.testing.assert_allclose(same, 10, atol=1e-9)
        other = cider(texts[1::-1], [[t] for t in texts[:2]], variant=variant)
        np.testing.assert_allclose(other, 0, atol=1e-9)


def test_cider_d_punishes_saying_it_twice_and_plain_cider_hardly():
    right = [["a", "red", "dog", "runs"], ["the", "cat", "sits", "quickly"]]
    twice = [right[0] * 2, right[1]]
    plain = cider(twice, [[t] for t in right], variant="cider")[0]
    assert plain > cider(twice, [[t] for t in right])[0]


def test_words_are_lower_case_and_without_punctuation():
    assert words("A man's dog, running -- fast!") == ["a", "man's", "dog", "running", "fast"]


def test_bleu_and_rouge_are_one_for_the_same_words():
    texts = [["a", "red", "dog", "runs", "fast"], ["the", "cat", "sits", "on", "a", "mat"]]
    for scores in coco_scores(texts, [[t] for t in texts]).values():
        np.testing.assert_allclose(scores, 1, atol=1e-6)
    worse = coco_scores([["a", "dog"]], [[["a", "red", "dog", "runs", "fast"]]])
    assert all(score[0] < 0.7 for score in worse.values())
