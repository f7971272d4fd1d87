"""What people type, read in the words that the generators were taught with."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racm3.document import Document
from racm3.errors import ConfigError, GenerationError
from racm3.retrieval.config import RetrieverConfig
from racm3.system import RACM3, Settings
from racm3.system.parts import EmptyShelf
from racm3.system.rephrasing import Rephrasing, speller
from racm3.system.surroundings import Part
from tests.conftest import picture

REPHRASING = Rephrasing(
    between={"with|near": "left of", "on": "above"},
    alone={
        r"a (?P<look>tiny) (?P<rest>.+)": r"a small \g<rest>",
    },
    each={r"a (?P<size>small )?(?P<look>red) (?P<rest>.+)": r"a \g<size>\g<rest> dyed \g<look>"},
)


def test_a_document_says_a_look_by_its_stem_and_an_empty_one_never():
    rules = {r"two (?P<look>hearts|dogs)": r"pair of \g<look>", r"pair(?P<look>) of (.+)": r"\2!"}
    documents = {"two hearts": "two hearts (love)", "two dogs": "a dog and a dog"}
    rephrasing = Rephrasing(alone={**rules, r"a (?P<look>reds?) (.+)": r"\2 dyed \g<look>"})
    for text, read in (("two hearts", "two hearts"), ("two dogs", "dogs!")):
        assert rephrasing.of(text, [text], lambda thing: documents[thing]) == read
    assert rephrasing.of("a reds cat", ["a reds cat"], lambda _: "red cats") == "a reds cat"
    assert rephrasing.of("a reds cat", ["a reds cat"], lambda _: "red dogs") == "cat dyed reds"


@pytest.mark.parametrize(
    ("text", "documents", "read"),
    [
        ("Two Dogs On A Cat", ["dog (pet)", "cat (pet)"], "two dogs on a cat"),
        ("A DOG", [], "a dog"),
        ("flag of italy and santa", ["flag of Italy", "Santa Claus"], "flag of Italy and Santa"),
        ("The FLAG of ITALY", ["flag of Italy"], "the flag of Italy"),
        # Whoever begins some words with capitals means it.
        ("An American flag", ["flag of the US"], "an American flag"),
        ("a dog from Paris", ["dog"], "a dog from Paris"),
        # What a document says stays as it is typed, and no article becomes a letter.
        ("A button and a NEW one", ["A button", "NEW button"], "A button and a NEW one"),
        ("a button", ["A button"], "a button"),
        ("", ["dog"], ""),
        ("!", [], "!"),
    ],
)
def test_words_are_spelt_as_documents_spell_them(text, documents, read):
    assert speller(text, documents)(text) == read
    names = [document.split(" (")[0] for document in documents]
    assert [speller(name, documents)(name) for name in names] == names


@given(st.text("aB 1", max_size=9), st.lists(st.text("Ab 1", max_size=9), max_size=3))
def test_spelling_changes_nothing_but_letters_and_has_an_end(text, documents):
    once = speller(text, documents)(text)
    assert once.lower() == text.lower()
    assert speller(text, [text])(text) == text
    assert speller(once, documents)(once) == once


def test_things_are_told_apart_by_what_was_typed_and_read_as_they_are_spelt():
    rephrasing = replace(REPHRASING, spelt=True)
    known = {"A Tiny Dog": "dog (pet)", "A RED Heart": "red heart"}.get
    read = rephrasing.of("A Tiny Dog With A RED Heart", ["A Tiny Dog", "A RED Heart"], known)
    assert read == "a tiny dog left of a red heart"
    assert rephrasing.of("A Tiny Dog", ["A Tiny Dog"], known) == "a small dog"
    assert REPHRASING.of("A Tiny Dog", ["A Tiny Dog"], known) == "A Tiny Dog"


def found(thing: str) -> str:
    known = {"a red apple": "red apple (fruit)", "a red car": "red heart (love)"}
    return known.get(thing, "dog (pet)")


@pytest.mark.parametrize(
    ("text", "things", "read"),
    [
        ("a dog with a cat", ["a dog", "a cat"], "a dog left of a cat"),
        ("a dog on a cat on blue", ["a dog", "a cat on blue"], "a dog above a cat on blue"),
        ("so: a dog near a cat, say", ["a dog", "a cat"], "so: a dog left of a cat, say"),
        # What is said beside the words that join, or is joined otherwise, is left as it is.
        ("a dog dyed red with a cat", ["a dog", "a cat"], None),
        ("a dog below a cat", ["a dog", "a cat"], None),
        ("a dog with a cat with a cow", ["a dog", "a cat", "a cow"], None),
        # Words that a name has join nothing.
        ("a man with a veil", ["a man with a veil"], None),
        ("a man with a veil on a horse", ["a man with a veil", "a horse"],
         "a man with a veil above a horse"),
        ("a red dog on blue", ["a red dog"], "a dog dyed red on blue"),
        ("a tiny red dog", ["a tiny red dog"], "a small dog dyed red"),
        ("a red dog with a tiny cat", ["a red dog", "a tiny cat"],
         "a dog dyed red left of a tiny cat"),
        ("a dog with a red cat on blue", ["a dog", "a red cat"],
         "a dog left of a cat dyed red on blue"),
        ("a red dog, a red dog", ["a red dog", "a red dog"], "a dog dyed red, a dog dyed red"),
        # An apple that is red is not dyed.
        ("a red apple", ["a red apple"], None),
        # But a car is, though a red heart is what is found.
        ("a red car", ["a red car"], "a car dyed red"),
        ("a red apple on a red dog", ["a red apple", "a red dog"],
         "a red apple above a dog dyed red"),
        ("a dog", [], None),
        ("a dog and a cat", ["a dog", "a cow"], None),
        ("a dog", ["a cat"], None),
    ],
)  # fmt: skip
def test_words_that_the_generators_know_less_are_replaced(text, things, read):
    assert REPHRASING.of(text, things, found) == (read or text)


@pytest.mark.parametrize(
    ("text", "read"),
    [("draw a red dog", "a dog dyed red"), ("a dog", "a dog"), ("draw ", "draw "), ("", "")],
)
def test_what_stands_around_it_goes_first_but_never_all_of_it(system, text, read):
    rephrasing = replace(REPHRASING, anywhere={"^draw ": ""})
    said = rephrasing.cleared(text)
    assert rephrasing.of(said, [said], found) == read
    # Without a memory nothing is told apart, but that.
    empty = replace(system.parts, shelf=EmptyShelf(system.encoder.dim), rephrasing=rephrasing)
    assert RACM3(empty).library.rephrased(text, Settings()) == said


def test_a_document_is_looked_for_only_where_its_words_decide():
    asked = list[str]()

    def known(thing: str) -> str:
        asked.append(thing)
        return ""

    REPHRASING.of("a dog with a cat", ["a dog", "a cat"], known)
    REPHRASING.of("a dog", ["a dog"], known)
    assert asked == []
    REPHRASING.of("a red dog", ["a red dog"], known)
    assert asked == ["a red dog"]


@pytest.mark.parametrize(
    ("text", "things", "read"),
    [
        ("a red dog", ["a red dog"], "a dog dyed red on white"),
        ("a dog near a red cat", ["a dog", "a red cat"], "a dog left of a cat dyed red on white"),
        ("a red dog on blue", ["a red dog"], "a dog dyed red on blue"),
        ("a dog dyed red", ["a dog dyed red"], "a dog dyed red on white"),
        ("a red apple", ["a red apple"], "a red apple"),
        ("a dog dyed red", [], "a dog dyed red"),
    ],
)
def test_what_is_not_said_is_read_of_the_whole_text_at_last(text, things, read):
    rephrasing = replace(REPHRASING, whole={r"(?!.* on )(.* dyed .*)": r"\1 on white"})
    assert rephrasing.of(text, things, found) == read
    part = Part.of(picture(0), np.eye(16, dtype=bool))
    assert rephrasing.of(text, things, found, redrawn=part) == read.removesuffix(" on white")


@pytest.mark.parametrize("which", ["anywhere", "between", "alone", "each", "whole"])
def test_a_pattern_that_is_none_is_refused(which):
    with pytest.raises(ConfigError, match="is no regular expression"):
        Rephrasing(**{which: {"(": ""}})


@pytest.mark.parametrize("which", ["alone", "each"])
def test_what_a_thing_looks_like_has_to_be_marked(which):
    with pytest.raises(ConfigError, match=r"no group \(\?P<look>"):
        Rephrasing(**{which: {"a (red) dog": "a dog"}})


@pytest.fixture(scope="module")
def worded(system) -> RACM3:
    retriever = RetrieverConfig(
        strategy="hybrid", clauses=" (?:left of|above) ", joins=" with ", too_similar=None
    )
    return RACM3(replace(system.parts, retriever=retriever, rephrasing=REPHRASING))


ASKED, READ = "a guitar with a train", "a guitar left of a train"


@pytest.mark.parametrize("generator", ["racm3", "cm3"])
def test_other_words_draw_what_they_would_draw_if_they_were_typed(worded, generator):
    one = worded if generator == "racm3" else worded.without_retrieval
    said, typed = one.draw(ASKED), one.draw(READ)
    assert said.prompt == ASKED
    assert said.revised_prompt == said.to_json()["revised_prompt"] == READ
    assert said.images == typed.images
    assert said.scores == typed.scores
    assert typed.revised_prompt is None
    assert f"read as: {READ}" in said._repr_html_()
    assert "read as" not in typed._repr_html_()


def test_whoever_wants_is_read_as_typed(worded, system):
    plain = RACM3(replace(worded.parts, rephrasing=Rephrasing()))
    for as_typed in (worded.draw(ASKED, Settings(as_typed=True)), plain.draw(ASKED)):
        assert as_typed.revised_prompt is None
        assert as_typed.images == plain.draw(ASKED, Settings(as_typed=True)).images
        assert as_typed.images != worded.draw(ASKED).images


def test_both_things_are_consulted_in_the_order_in_which_they_are_said(worded):
    titles = [one.title for one in worded.draw(ASKED, Settings(documents="each")).consulted]
    assert titles == ["a guitar", "a train"]


def test_without_a_memory_nothing_tells_things_apart(worded):
    empty = worded.remembering(EmptyShelf(worded.encoder.dim))
    assert empty.draw(ASKED).revised_prompt is None


def test_what_is_redrawn_is_read_in_these_words_too(worded):
    mask = np.zeros((16, 16), dtype=bool)
    mask[8:] = True
    said = worded.infill(picture(3), mask, ASKED)
    assert said.revised_prompt == READ
    assert said.images == worded.infill(picture(3), mask, READ).images
    # What is behind it is seen there.
    whole = replace(REPHRASING, whole={"(.+)": r"\1 on white"})
    behind = RACM3(replace(worded.parts, rephrasing=whole))
    assert behind.draw(ASKED).revised_prompt == f"{READ} on white"
    assert behind.infill(picture(3), mask, ASKED).revised_prompt == READ
    assert worded.infill(picture(3), mask).revised_prompt is None
    assert worded.infill(picture(3), mask, "  ").revised_prompt is None


def test_given_documents_are_read_with_these_words(worded):
    given = [Document.of("a train", picture(8)), Document.of("a guitar", picture(9))]
    said = worded.draw(ASKED, like=given)
    assert said.revised_prompt == READ
    assert [one.document for one in said.consulted] == given


@pytest.mark.parametrize("caption", ["", "  ", "a guitar with " * 1000])
def test_senseless_captions_are_refused_before_anything_is_looked_up(worded, caption):
    with pytest.raises(GenerationError, match="the caption"):
        worded.draw(caption)


def test_a_system_keeps_its_wording(worded, tmp_path):
    worded.save(tmp_path / "system")
    opened = RACM3.open(tmp_path / "system", memory=worded.parts.shelf, device="cpu")
    assert opened.parts.rephrasing == REPHRASING
    assert opened.draw(ASKED).to_json() == worded.draw(ASKED).to_json()


def test_a_system_saved_before_there_were_wordings_opens(system, tmp_path):
    system.save(tmp_path / "old")
    about = (tmp_path / "old" / "system.json").read_text()
    assert '"rephrasing"' in about
    plain = json.loads(about)
    del plain["rephrasing"], plain["settings"]["as_typed"]
    plain["retriever"]["looks"] = "small "
    (tmp_path / "old" / "system.json").write_text(json.dumps(plain))
    opened = RACM3.open(tmp_path / "old", memory=system.parts.shelf, device="cpu")
    assert not opened.parts.rephrasing
    assert opened.draw(ASKED).images == system.draw(ASKED).images
