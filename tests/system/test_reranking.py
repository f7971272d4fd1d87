"""What the rest of a picture is read with, whatever the weights are."""

from dataclasses import replace

import numpy as np
import pytest

from racm3.document import Document
from racm3.retrieval.query import mirrored
from racm3.system import Settings
from racm3.tokens.context import preamble
from tests.conftest import picture

MASK = np.zeros((16, 16), dtype=bool)
MASK[8:, 4:] = True
SOME = Settings(documents=3, rerank=6, seed=3)


def test_documents_are_read_in_the_order_in_which_they_explain_the_rest(system):
    image = picture(3)
    guess, codec = mirrored(image, MASK), system.codec
    pool = system.consult(Document.of(guess), replace(SOME, documents=6))
    cells = system.voice.cells(MASK).ravel()
    guessed, whole = (system.voice.segment(one).ids for one in (guess, image))
    codes = [a if masked else b for a, b, masked in zip(guessed, whole, cells, strict=True)]

    def explained(documents: list[Document]) -> float:
        before = preamble(codec.encode(documents), codec.vocabulary)
        return system.engine.score(before, codes).numpy()[~cells].sum()

    gains = {one.id: explained([one.document]) - explained([]) for one in pool}
    better = [id_ for id_ in sorted(gains, key=lambda id_: -gains[id_]) if gains[id_] > 0]
    assert 0 < len(better) < len(pool)
    read = system.infill(image, MASK, "", SOME).consulted
    assert [one.id for one in read] == better[:3]
    scores = {one.id: one.score for one in pool}
    assert all(one.score == scores[one.id] for one in read)


@pytest.mark.parametrize(
    ("settings", "caption"),
    [(replace(SOME, rerank=1), ""), (SOME, "a guitar"), (replace(SOME, documents=0), "")],
)
def test_words_and_whoever_does_not_compare_take_the_retrievers_order(system, settings, caption):
    query = Document.of(caption or mirrored(picture(3), MASK))
    read = system.infill(picture(3), MASK, caption, settings).consulted
    assert [one.id for one in read] == [one.id for one in system.consult(query, settings)]


def test_what_explains_the_rest_is_read_however_little_it_scores(system):
    strict = replace(SOME, least=2.0)
    assert system.consult(Document.of(picture(3)), strict) == ()
    read = [system.infill(picture(3), MASK, "", some).consulted for some in (strict, SOME)]
    assert read[0] == read[1] != ()


def test_the_baseline_reads_nothing(system):
    assert system.without_retrieval.infill(picture(3), MASK, "", SOME).consulted == ()
