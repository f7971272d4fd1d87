"""The Python API on untrained parts: what must hold whatever the weights are."""

import html
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PIL

from racm3.data.sample_world import corpus
from racm3.document import Document, Image, Text
from racm3.errors import (
    CheckpointError,
    ConfigError,
    GenerationError,
    MemoryStoreError,
    VocabularyMismatch,
)
from racm3.evaluation.fewshot import episodes, right_answers
from racm3.evaluation.perplexity import document_losses
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.memory import Entry, MemoryStore
from racm3.system import RACM3, Consulted, Settings
from racm3.system.filling import beginnings
from racm3.system.library import MOST_FILTERS
from racm3.system.parts import Parts
from racm3.tokens.codec import Kind
from tests.conftest import picture, tiny_generator


@pytest.mark.parametrize(
    "settings",
    [
        Settings(candidates=3),
        Settings(documents=4, candidates=2),
        Settings(guidance=Guidance(weight=3.0)),
        Settings(candidates=2, guidance=Guidance(weight=3.0, keep_documents=False)),
        Settings(candidates=2, sampling=Sampling(strategy="half"), guidance=Guidance(weight=2.0)),
        Settings(documents=3, guidance=Guidance(context_weight=2.0)),
    ],
)
def test_the_same_prompt_settings_and_memory_give_the_same_answer(system, settings):
    one, two = (system.draw("a guitar on red", settings) for _ in range(2))
    assert one.images == two.images
    assert one.to_json() == two.to_json()
    assert len(one.images) == settings.candidates
    assert len(one.consulted) == settings.documents
    assert list(one.scores) == sorted(one.scores, reverse=True)
    other = system.draw("a guitar on red", replace(settings, seed=1))
    assert other.images != one.images


@pytest.mark.parametrize("wrong", [{"documents": -1}, {"candidates": 0}])
def test_numbers_that_are_none_are_refused(wrong):
    with pytest.raises(ConfigError, match="or `each`"):
        Settings.of(wrong)


@pytest.mark.parametrize(
    ("strategy", "question", "worded"),
    [
        ("clip", Document.of("a guitar"), False),
        ("clip", Document.of(picture(7)), False),
        ("hybrid", Document.of(picture(7)), False),
        ("hybrid", Document.of("a guitar"), True),
        ("bm25", Document.of("a guitar"), True),
    ],
)
def test_what_is_not_near_enough_is_not_read(system, strategy, question, worded):
    """But where words were searched, they decide: what they found may mean nothing to a CLIP."""
    config = RetrieverConfig(strategy=strategy, too_similar=None)
    mine = RACM3(replace(system.parts, retriever=config))

    def read(least: float | None) -> tuple[Consulted, ...]:
        return mine.consult(question, Settings(documents=6, least=least))

    scores = sorted(one.score for one in read(None))
    between = (scores[-2] + scores[-3]) / 2
    near = tuple(one for one in read(None) if one.score >= between)
    assert worded or len(near) == 2
    assert read(-1.0) == read(None)
    assert read(between) == (read(None) if worded else near)
    assert read(1e9) == (read(None) if worded else ())


def test_who_asks_for_what_no_document_is_found_by_consults_none(system):
    config = replace(system.parts.retriever, unasked=r"(?: on)? an? \w+ ground$")
    mine = RACM3(replace(system.parts, retriever=config))
    question, both = Document.of(" a blue ground"), Settings(documents=2)
    assert mine.consult(question, both) == ()
    assert len(system.consult(question, both)) == 2
    assert len(mine.consult(Document.of("an apple on a blue ground"), both)) == 2
    assert len(mine.consult(Document.of(" a blue ground", picture(3)), both)) == 2


def test_each_thing_asked_for_may_be_consulted_by_one_document(system):
    config = replace(system.parts.retriever, clauses=" above | on ", too_similar=None)
    mine, each = RACM3(replace(system.parts, retriever=config)), Settings(documents="each")
    questions = ["an apple", "an apple above a guitar", "an apple above a guitar on a table"]
    for number, question in enumerate(questions, start=1):
        four = mine.consult(Document.of(question), Settings(documents=4))
        assert mine.consult(Document.of(question), each) == four[:number]
    (one,) = mine.consult(Document.of("an apple"), each)
    (other,) = mine.draw("an apple", each, leave_out=[one.id]).consulted
    assert other == mine.consult(Document.of("an apple"), Settings(documents=2))[1]
    every = system.parts.shelf.ids().tolist()
    assert mine.draw("an apple", each, leave_out=every).consulted == ()


def test_whoever_leaves_while_fillings_are_compared_is_noticed(system):
    """Nothing is said then, so a watcher is told nothing; it may raise all the same."""

    def leave(said: list[list[int]]) -> None:
        if not said:
            raise GenerationError("gone")

    with pytest.raises(GenerationError, match="gone"):
        system.infill_text("an ___ on a table", watch=leave)


def test_what_is_consulted_changes_what_is_drawn(system):
    free = system.draw("a guitar", Settings(documents=0))
    led = system.draw("a guitar", like=[picture(7)])
    assert free.consulted == ()
    assert led.consulted[0].score is None
    assert free.image != led.image


def test_the_baseline_reads_nothing(system):
    assert system.without_retrieval.draw("a guitar").consulted == ()


def test_an_infilled_picture_keeps_every_pixel_that_was_not_masked(system):
    image, mask = picture(3), np.zeros((16, 16), dtype=bool)
    mask[8:12, 4:16] = True
    for caption in ("", "a guitar"):
        for guidance in (Guidance(), Guidance(weight=3.0), Guidance(weight=7.5, image_weight=1.5)):
            drawing = system.infill(image, mask, caption, Settings(guidance=guidance))
            kept = ~np.kron(system.voice.cells(mask), np.ones((4, 4), dtype=bool))
            np.testing.assert_array_equal(drawing.image.pixels[kept], image.pixels[kept])
            assert (drawing.image.pixels[~kept] != image.pixels[~kept]).any()


def test_an_empty_mask_or_one_of_another_size_is_refused(system):
    with pytest.raises(GenerationError, match="the mask is empty"):
        system.infill(picture(0), np.zeros((16, 16), dtype=bool))
    for caption in ("", "a guitar"):
        with pytest.raises(GenerationError, match=r"shape \(8, 16\), the picture \(16, 16\)"):
            system.infill(picture(0), np.ones((8, 16), dtype=bool), caption)


def test_captions_are_ordered_by_perplexity(system):
    writing = system.caption(picture(0), Settings(candidates=4))
    assert list(writing.perplexities) == sorted(writing.perplexities)
    assert len(writing.texts) == 4


def test_a_weight_for_words_holds_for_words_alone(system):
    strong, plain = Settings(guidance=Guidance(weight=3.0)), Settings()
    own = replace(strong, guidance=Guidance(weight=3.0, caption_weight=1.0))
    said = [system.caption(picture(0), some) for some in (own, plain, strong)]
    assert said[0].to_json() == said[1].to_json() != said[2].to_json()
    filled = [system.infill_text("a ___ here", None, some).texts for some in (own, plain)]
    assert filled[0] == filled[1]
    drawn = [system.draw("a guitar", some).images for some in (own, strong, plain)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_gap_at_either_end_of_a_text_is_filled(system):
    """At the beginning the words' space is not said; what goes on within a word has none."""
    decode = system.codec.text.decode
    for before, after in (("", " on red"), ("", "s on red"), ("an ap", ""), ("an", "s")):
        writing = system.infill_text(f"{before}___{after}", picture(0))
        assert writing.text == decode(writing.trace.said[0][:-1])
        assert writing.text.startswith(before)
        assert writing.text.endswith(after)


def test_only_the_gap_of_a_text_is_filled(system):
    writing = system.infill_text("a ___ on red", picture(0))
    assert writing.text.startswith("a ")
    assert writing.text.endswith(" on red")
    for text, why in (("no gap", "has 0 gaps"), ("a ___" + "x" * 10_000, "10,005 characters")):
        with pytest.raises(GenerationError, match=why):
            system.infill_text(text)


@pytest.mark.parametrize("image", [None, picture(0)])
def test_a_gap_is_filled_by_the_likeliest_whole_text(system, image):
    writing = system.infill_text("a ___ on red", image, Settings(candidates=3))
    trace = writing.trace
    assert len(set(writing.texts)) == len(writing.texts) == len(trace.said) <= 3
    totals, sides = [], [system.voice.ids("a"), system.voice.ids(" on red", follows=True)]
    for text, said, perplexity in zip(writing.texts, trace.said, writing.perplexities, strict=True):
        assert text.startswith("a")
        assert text.endswith(" on red")
        filling = said[len(sides[0]) : -1 - len(sides[1])]
        words = system.codec.text.decode(filling, follows=True)
        assert text == f"a{'' if words.startswith(' ') else ' '}{words} on red"
        assert list(said[: len(sides[0])]) == sides[0]
        assert list(said[-1 - len(sides[1]) : -1]) == sides[1]
        known = system.voice.score(trace.task, writing.consulted, said)
        totals.append(float(known.sum()))
        assert perplexity == pytest.approx(math.exp(-float(known.mean())), rel=1e-5)
    assert totals == sorted(totals, reverse=True)
    best = list(trace.said[0])[len(sides[0]) : -1 - len(sides[1])]
    for stop in range(1, min(len(best), 16)):
        shorter = [*sides[0], *best[:stop], *sides[1], trace.said[0][-1]]
        assert float(system.voice.score(trace.task, writing.consulted, shorter).sum()) <= totals[0]


def test_a_filling_may_end_wherever_it_has_begun():
    assert beginnings([(1, 2, 3), (1, 4)]) == [(1,), (1, 2), (1, 2, 3), (1, 4)]
    assert beginnings([(), (7,)]) == [(7,)]
    assert beginnings([()]) == [()]
    assert [len(one) for one in beginnings([tuple(range(40))])] == [*range(1, 17), 40]


def test_a_gap_asks_with_the_picture_that_shows_what_is_missing(system, monkeypatch):
    asked = watched(system, monkeypatch)
    system.infill_text("a ___ on red", picture(0))
    system.infill_text("a ___ on red")
    assert asked == [Document.of(picture(0)), Document.of("a on red")]


def test_the_last_part_of_a_document_asks_for_what_it_goes_on_with(system, monkeypatch):
    asked = watched(system, monkeypatch)
    for parts in ((picture(0), "one", picture(1)), ("one", picture(0), "two"), ("one",)):
        system.complete(Document.of(*parts), more=1)
    assert asked == [Document.of(picture(1)), Document.of("two"), Document.of("one")]


def test_a_completed_document_begins_as_it_began(system):
    document = Document.of("one", picture(0), "two")
    completion = system.complete(document, Settings(candidates=3), more=3)
    known = [
        system.voice.score(completion.trace.task, completion.consulted, one).mean()
        for one in completion.trace.said
    ]
    assert list(completion.perplexities) == sorted(completion.perplexities)
    np.testing.assert_allclose(completion.perplexities, np.exp(-np.array(known)), rtol=1e-5)
    for found in completion.documents:
        assert found.parts[0] == Text("one")
        assert found.parts[: len(document.parts)] == document.parts
        assert len(document.parts) < len(found.parts) <= len(document.parts) + 3


@pytest.mark.parametrize("by", ["picture", "label"])
def test_label_probabilities_are_a_distribution_and_follow_the_labels(system, by):
    examples = {"X": [picture(1), picture(2)], "Y": [picture(3), picture(4)]}
    result = system.classify(picture(1), examples, by=by)
    assert sum(result.probabilities.values()) == pytest.approx(1)
    assert len(result.consulted) == 4
    assert result.label in examples
    with pytest.raises(GenerationError, match="equally many"):
        system.classify(picture(1), {"X": [picture(1)], "Y": []})


@pytest.mark.parametrize("by", ["picture", "label"])
def test_an_example_of_every_label_is_read(system, by):
    examples = {label: [picture(number)] for number, label in enumerate("XYZ")}
    found = system.classify(picture(9), examples, by=by).probabilities
    for label in examples:
        other = system.classify(picture(9), {**examples, label: [picture(7)]}, by=by).probabilities
        assert other[label] != pytest.approx(found[label])


@pytest.mark.parametrize("by", ["picture", "label"])
def test_an_ensemble_of_one_shot_is_that_shot(system, by):
    once = system.classify(picture(1), {"X": [picture(1)], "Y": [picture(3)]}, by=by)
    twice = system.classify(picture(1), {"X": [picture(1)] * 2, "Y": [picture(3)] * 2}, by=by)
    assert twice.probabilities == pytest.approx(once.probabilities)


def test_the_channel_is_bayes_rule(system):
    examples = {"X": [picture(1), picture(2)], "Y": [picture(3), picture(4)]}
    likely = {}
    for label, shots in examples.items():
        said = [Document.of(label, picture(9))] * 2
        shown = [[Document.of(label, shot)] for shot in shots]
        losses = document_losses(system.voice, said, shown, Kind.IMAGE).losses
        likely[label] = np.exp(-losses.astype(np.longdouble)).mean()
    found = system.classify(picture(9), examples, by="picture").probabilities
    odds = float(np.log(likely["X"]) - np.log(likely["Y"]))
    assert np.log(found["X"]) - np.log(found["Y"]) == pytest.approx(odds, abs=1e-3)


def test_the_sample_system_tells_things_apart_that_it_was_shown_once(shipped):
    some = episodes(corpus.classes(), 12, k=1, seed=1)
    assert np.mean(right_answers(shipped, some)) >= 0.75


def test_a_saved_png_carries_what_it_was_made_with(system, tmp_path):
    drawing = system.draw("a guitar", Settings(seed=5))
    drawing.save(tmp_path / "a.png")
    with PIL.open(tmp_path / "a.png") as opened:
        about = json.loads(opened.text["racm3"])  # type: ignore[attr-defined]
        assert Image.of(opened) == drawing.image
    assert about["settings"]["seed"] == 5
    assert [c["id"] for c in about["consulted"]] == [c.id for c in drawing.consulted]
    assert about["snapshot"] == system.snapshot


def test_answers_show_themselves_in_a_notebook(system):
    drawing = system.draw("a <guitar>")
    assert drawing._repr_png_() == drawing.image.png()
    page = drawing._repr_html_()
    assert "a &lt;guitar&gt;" in page
    assert page.count("<img") == 1 + len(drawing.consulted)
    writing = system.caption(picture(0))
    assert html.escape(writing.text) in writing._repr_html_()
    done = system.complete(Document.of("an <apple>"), more=1)
    assert "an &lt;apple&gt;" in done._repr_html_()
    told = system.classify(picture(0), {"X": [picture(1)], "Y": [picture(2)]})
    assert f"X: {told.probabilities['X']:.0%}" in told._repr_html_()
    for answer in (writing, done, told):
        assert answer._repr_html_().count("<figure") == len(answer.consulted)


def test_saving_and_opening_a_system_changes_no_answer(system, tmp_path):
    system.save(tmp_path / "s")
    opened = RACM3.open(tmp_path / "s", memory=system.parts.shelf, device="cpu")
    assert opened.draw("a guitar").images == system.draw("a guitar").images
    assert opened.caption(picture(0)).texts == system.caption(picture(0)).texts


def test_mismatched_parts_are_refused(system):
    wrong = {"racm3": tiny_generator(len(system.codec.vocabulary) + 1)}
    with pytest.raises(VocabularyMismatch, match="open the tokenizers saved beside"):
        Parts(system.codec, system.encoder, wrong, system.parts.retriever, system.parts.shelf, "x")


@pytest.mark.parametrize("spelt", [str, Path])
def test_a_memory_of_another_encoder_is_refused_however_its_folder_is_spelt(
    system, tmp_path, spelt
):
    folder, memory = spelt(tmp_path / "s"), spelt(tmp_path / "m")
    system.save(folder)
    MemoryStore.create(memory, encoder="another", dim=7)
    with pytest.raises(MemoryStoreError, match="vectors of 7 numbers made by another"):
        RACM3.open(folder, memory=memory, device="cpu")


def test_no_system_there_says_what_to_give(tmp_path):
    with pytest.raises(CheckpointError, match="there is no system"):
        RACM3.open(tmp_path)


def test_added_documents_are_consulted_at_once_and_removed_ones_never_again(system, tmp_path):
    store = MemoryStore.create(tmp_path / "m", encoder=system.encoder.name, dim=system.encoder.dim)
    parts = replace(system.parts, shelf=store)
    mine = RACM3(parts)
    assert mine.draw("a guitar").consulted == ()
    document = Document.of("a guitar", picture(9))
    vector = system.encoder.texts(["a guitar"])
    (id_,) = store.add([Entry(document)], vector)
    mine.library.refresh()
    assert mine.draw("a guitar").consulted[0].document == document
    store.remove([id_])
    mine.library.refresh()
    assert mine.draw("a guitar").consulted == ()


def test_of_many_filters_a_few_are_kept(system, tmp_path):
    store = MemoryStore.create(tmp_path / "m", encoder=system.encoder.name, dim=system.encoder.dim)
    library = RACM3(replace(system.parts, shelf=store)).library
    entries = [Entry(Document.of(f"thing {n}"), metadata={"number": str(n)}) for n in range(20)]
    store.add(entries, system.encoder.texts([one.document.text for one in entries]))
    everything = library.retriever()
    for n in (*range(20), *range(20)):
        where = f"number = '{n}'"
        (found,) = library.consult(Document.of("a thing"), Settings(where=where))
        assert found.document.text == f"thing {n}"
        assert library.retriever(where) is library.retriever(where)
    assert len(library._retrievers) == 1 + MOST_FILTERS
    assert library.retriever() is everything
    library.refresh()
    assert library.retriever() is not everything


@pytest.mark.parametrize("caption", ["", "   ", "x" * 10_000_000])
def test_senseless_captions_are_refused(system, caption):
    with pytest.raises(GenerationError, match="the caption"):
        system.draw(caption)


def watched(system, monkeypatch) -> list[Document]:
    """What will be asked."""
    asked: list[Document] = []
    consult = system.consult

    def watching(query, settings):
        asked.append(query)
        return consult(query, settings)

    monkeypatch.setattr(system, "consult", watching)
    return asked


def test_infilling_asks_with_the_words_or_with_what_is_left_of_the_picture(system, monkeypatch):
    asked = watched(system, monkeypatch)
    whole, mask = picture(3), np.zeros((16, 16), dtype=bool)
    mask[8:] = True
    system.infill(whole, mask, "a guitar")
    system.infill(whole, mask)
    assert asked[0] == Document.of("a guitar")
    (seen,) = asked[1].images
    assert (seen.pixels[:8] == whole.pixels[:8]).all()
    assert (seen.pixels[8:] == whole.pixels[:8][::-1]).all()
