"""What the sample generators learn from, and what it is shown beside."""

import re
from functools import partial

import numpy as np
import pytest

from racm3.data.sample_world.phrasing import plural
from racm3.data.sample_world.scenes import COLOURS, Chances
from racm3.data.sample_world.wording import Worded
from racm3.errors import Racm3Error
from racm3.recipes import beside, lessons
from racm3.recipes.lessons import Fiction
from racm3.recipes.sample import sample_cpu
from racm3.recipes.spelling import Spelling
from racm3.retrieval.config import RetrieverConfig
from racm3.tokens.codec import Kind
from racm3.tokens.masking import Words


def said(codec, segments) -> str:
    return "".join(codec.text.decode(s.ids) for s in segments if s.kind == Kind.TEXT)


def test_a_demonstration_stands_beside_its_own_label_and_another_one(codec, encoder):
    some = beside.demonstrated(40, Fiction(12), encoder.dim)
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    places = []
    for row, document in enumerate(some.documents):
        pair = [said(codec, made.memory[int(at)]) for at in made.neighbours[row, 0]]
        assert pair[0] != pair[1]
        assert document.text in pair
        places.append(pair.index(document.text))
    assert 0.2 < np.mean(places) < 0.8


def test_a_label_is_dealt_anew_and_only_the_pictures_say_which(codec, encoder):
    some = beside.labelled(60, Fiction(12), encoder.dim, same=0.5)
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    assert (made.words == Words.ASKED).all()
    assert len({document.text for document in some.documents}) > 12  # no thing's own name
    places, repeated = [], []
    for row, document in enumerate(some.documents):
        pair = [made.memory[int(at)] for at in made.neighbours[row, 0]]
        labels = [said(codec, one) for one in pair]
        assert labels[0] != labels[1]
        places.append(labels.index(document.text))
        picture = made.documents[row][1]
        assert pair[1 - places[-1]][1] != picture
        repeated.append(pair[places[-1]][1] == picture)
    assert 0.2 < np.mean(places) < 0.8
    assert 0.3 < np.mean(repeated) < 0.7
    alike = beside.labelled(9, Fiction(12), encoder.dim)
    assert [one.text for one in alike.documents] == [one.text for one in some.documents[:9]]


def test_entries_under_names_dealt_anew_are_captioned_with_the_name_of_what_is_shown(encoder):
    some = beside.labelled(40, Fiction(12, own=0.5), encoder.dim, entries=0.5)
    looks = {thing.on_white(64).pixels.tobytes() for thing in Fiction(12).things}
    entries = large = 0
    for document, (first, second) in zip(some.documents, some.neighbours[:, 0], strict=True):
        pair = some.memory.documents([int(first), int(second)])
        if len(pair[0].images) == 1:
            assert document.text in {one.text for one in pair}
            continue
        entries += 1
        assert all(one.images[0].pixels.tobytes() in looks for one in pair)
        says = [f" {one.text.split(' (')[0]}" in document.text for one in pair]
        assert any(says)
        if "small" in document.text or "tilted" in document.text or all(says):
            continue
        # A large thing stands where its entry has it: the pixels of the named one come back.
        (picture,) = document.images
        alike = [(one.images[0].pixels == picture.pixels).all(axis=-1).mean() for one in pair]
        assert says[int(np.argmax(alike))]
        large += 1
    assert 0.3 < entries / 40 < 0.7
    assert large > 3


def test_neighbours_of_other_documents_are_refused(codec, encoder):
    some = beside.demonstrated(4, Fiction(12), encoder.dim)
    with pytest.raises(Racm3Error, match=r"4 documents with 2 draws of 2 need \(4, 2, 2\)"):
        lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=2)


def test_pictured_lessons_stand_beside_their_thing_and_then_its_nearest_look_alike(codec, encoder):
    some = beside.pictured(10, Fiction(20), encoder, words=Words.ASKED)
    assert not any(" left of " in d.text or " above " in d.text for d in some.documents)
    assert not any("two of" in d.text for d in some.documents)
    words = RetrieverConfig(strategy="bm25", query="text", too_similar=None, query_dropout=0.0)
    made = lessons.prepare_lessons(codec, encoder, [some], words, draws=1)
    assert (made.words == Words.ASKED).all()
    known = some.memory.rows(list(range(20))).vectors
    asked = encoder.images([document.images[0] for document in some.documents])
    for row, (right, other) in enumerate(made.neighbours[:, 0].tolist()):
        name = some.memory.documents([right])[0].text.split(" (")[0]
        assert name in some.documents[row].text
        by_likeness = np.argsort(-(asked[row] @ known.T))
        assert other == next(one for one in by_likeness if one != right)


def test_dyed_lessons_stand_beside_their_thing_and_nobody_has_to_say_their_words(codec, encoder):
    some = lessons.dyed(12, Fiction(20), encoder.dim, chances=Chances(rare=0.3))
    plain = lessons.fictional(5, Fiction(20), encoder.dim)
    made = lessons.prepare_lessons(codec, encoder, [plain, some], RetrieverConfig(), draws=1)
    assert made.words.tolist() == [Words.OPEN] * 5 + [Words.GIVEN] * 12
    found = []
    for document, (first, *_) in zip(some.documents, made.neighbours[5:, 0].tolist(), strict=True):
        name = some.memory.documents([first - 20])[0].text.split(" (")[0]
        assert " dyed " in document.text
        found.append(f"{name} dyed " in document.text)
    assert np.mean(found) > 0.7


def test_lessons_of_two_dyed_things_stand_beside_both(codec, encoder):
    fiction, config = Fiction(20), sample_cpu().retriever
    some = lessons.dyed(24, fiction, encoder.dim, pairs=1.0)
    made = lessons.prepare_lessons(codec, encoder, [some], config, draws=1)
    assert (made.words == Words.GIVEN).all()
    beside = []
    for document, rows in zip(some.documents, made.neighbours[:, 0].tolist(), strict=True):
        said = {one.name for one in fiction.things if f" {one.name} " in f"{document.text} "}
        read = [one.text.split(" (")[0] for one in some.memory.documents(rows)]
        if " dyed " in document.text:
            beside.append(len(set(read) & said) == 2)
        else:  # one thing twice, as it is
            assert "two of " in document.text
    assert len(beside) > 12
    assert np.mean(beside) > 0.7


def test_hints_say_a_name_and_not_what_it_stands_on(codec, encoder):
    fiction = Fiction(20)
    some = lessons.hinted(40, fiction, encoder.dim, chances=Chances(rare=0.3))
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    assert (made.words == Words.GIVEN).all()
    assert all(any(one.name in d.text for one in fiction.things) for d in some.documents)
    grounds = [word for colour in COLOURS for word in (f"{colour} background", f" on {colour}")]
    assert not any(word in d.text for d in some.documents for word in grounds)
    corners = np.array([d.images[0].pixels[0, -1] for d in some.documents])
    assert 0.4 < (corners > 250).all(axis=1).mean() < 0.9


def test_what_people_say_of_two_things_stands_beside_both_as_they_are_said(codec, encoder):
    fiction, config = Fiction(40), sample_cpu().retriever
    some = lessons.phrased(100, fiction, encoder.dim)
    made = lessons.prepare_lessons(codec, encoder, [some], config, draws=1)
    assert (made.words == Words.GIVEN).all()
    first_is_said, both, familiar = list[bool](), list[bool](), list[bool]()
    fictional = 100 - round(100 * lessons.FAMILIAR)
    for row, neighbours in enumerate(made.neighbours[:fictional, 0]):
        text = some.documents[row].text
        at = {n.name: max(map(text.find, (n.name, plural(n.name)))) for n in fiction.things}
        first, *rest = sorted((name for name in at if at[name] >= 0), key=lambda name: at[name])
        shown = [said(codec, made.memory[int(n)]).split(" (")[0] for n in neighbours if n >= 0]
        first_is_said.append(shown[0] == first)
        both.append(shown == [first, *rest])
    assert np.mean(first_is_said) > 0.9  # words that never were have strange plurals
    assert 0.4 < np.mean(both) < 0.7  # IN_PAIRS without what is there twice
    for row, (first, _) in enumerate(made.neighbours[fictional:, 0], start=fictional):
        name = said(codec, made.memory[int(first)]).split(" (")[0]
        seen = name in some.documents[row].text or plural(name) in some.documents[row].text
        familiar.append(seen and name not in {one.name for one in fiction.things})
    assert np.mean(familiar) > 0.8


def test_an_empty_picture_has_one_ground_and_its_words_say_which(codec, encoder):
    some = lessons.empty(20, Fiction(20), encoder.dim)
    for document in some.documents:
        (colour,) = (name for name in COLOURS if name in document.text.split())
        assert np.abs(document.images[0].pixels - np.array(COLOURS[colour])).max() <= 26
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    assert (made.words == Words.OPEN).all()
    assert (made.neighbours >= 0).any()  # something is found that must not be believed


def test_several_things_are_drawn_beside_all_of_them_in_their_order(codec, encoder):
    fiction = Fiction(40)
    some = lessons.gathered(60, fiction, encoder.dim)
    other = beside.paired(4, fiction, encoder.dim)
    made = lessons.prepare_lessons(codec, encoder, [some, other], RetrieverConfig(), draws=1)
    assert made.neighbours.shape == (64, 1, 4)
    assert (made.words[:60] == Words.GIVEN).all()
    familiar = []
    for row, document in enumerate(some.documents):
        shown = [made.memory[int(n)] for n in made.neighbours[row, 0] if n >= 0]
        names = [said(codec, one).split(" (")[0] for one in shown]
        known = [name for name in names if name in document.text or plural(name) in document.text]
        # Words that never were have strange plurals.
        familiar.append(known == names and names[0] not in {one.name for one in fiction.things})
        places = [document.text.find(name) for name in known]
        assert list(dict.fromkeys(places)) == sorted({*places})
        assert [places.index(at) for at in places] == [names.index(name) for name in known]
        assert len(names) in (1, 3, 4)
        assert len({*names}) > 1 or len(names) == 1
    assert 0.1 < np.mean(familiar) < 0.5
    assert np.mean((made.neighbours[:60, 0] >= 0).sum(axis=1)) > 2.5
    assert (made.neighbours[60:, 0, 2:] == -1).all()
    # The others' rows are those of their own memory, behind this one's.
    for row, document in enumerate(other.documents, start=60):
        first = said(codec, made.memory[int(made.neighbours[row, 0, 0])]).split(" (")[0]
        assert first in document.text


def test_several_things_are_described_in_our_captions_some_of_them_more_than_once(encoder):
    fiction = Fiction(20)
    asked = partial(lessons.gathered, words=Words.ASKED, repeated=0.25)
    some = asked(60, fiction, encoder.dim)
    assert some.words is Words.ASKED
    kinds = []
    for document, rows in zip(some.documents, some.neighbours[:, 0], strict=True):
        shown = some.memory.documents([int(row) for row in rows if row >= 0])
        nouns = [one.text.split(" (")[0] for one in shown]
        assert all(noun in document.text for noun in nouns)
        assert "dyed" not in document.text
        number = {3: "three", 4: "four"}[len(nouns)]
        several = document.text.removeprefix("a picture of ").startswith(f"{number} of ")
        assert several == (len({*nouns}) == 1)
        assert several or re.search(".+".join(map(re.escape, nouns)), document.text)
        kinds.append(len(nouns) - len({*nouns}))
    assert 0.1 < np.mean(np.array(kinds) > 0) < 0.5
    alike = asked(9, fiction, encoder.dim)
    assert [one.text for one in alike.documents] == [one.text for one in some.documents[:9]]


def test_a_silent_lesson_is_the_picture_alone_of_the_same_scene(codec, encoder):
    fiction = Fiction(20)
    told, some = (beside.pictured(8, fiction, encoder, silent=silent) for silent in (False, True))
    assert [one.images for one in some.documents] == [one.images for one in told.documents]
    assert (some.neighbours == told.neighbours).all()
    assert not any(one.text for one in some.documents)
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    assert [[segment.kind for segment in one] for one in made.documents] == [[Kind.IMAGE]] * 8


def test_two_things_are_described_beside_both_in_their_order(codec, encoder):
    some = beside.paired(60, Fiction(12), encoder.dim)
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    assert (made.words == Words.ASKED).all()
    twice = 0
    for document, (first, second) in zip(some.documents, some.neighbours[:, 0], strict=True):
        shown = some.memory.documents([int(row) for row in (first, second) if row >= 0])
        one, *others = (entry.text.split(" (")[0] for entry in shown)
        assert one in document.text
        assert ("two of" in document.text) == (not others)
        twice += not others
        assert all(document.text.index(one) < document.text.rindex(other) for other in others)
    assert 0 < twice < 30


def test_a_likeness_is_another_scene_of_the_same_thing_in_both_sizes(codec, encoder):
    fiction = Fiction(12)
    some = beside.likened(40, fiction, encoder.dim)
    made = lessons.prepare_lessons(codec, encoder, [some], RetrieverConfig(), draws=1)
    assert (made.words == Words.GIVEN).all()
    names, wordless = {thing.name for thing in fiction.things}, 0
    for document, (first, _) in zip(some.documents, some.neighbours[:, 0], strict=True):
        (example,) = some.memory.documents([int(first)])
        assert len(example.images) == 2
        wordless += not example.text
        assert not example.text or (example.text in names and example.text in document.text)
    assert 0.3 < wordless / 40 < 0.7


def test_half_of_the_fictional_things_are_as_people_have_their_own():
    plain, half = Fiction(300), Fiction(300, own=0.5)
    own = [isinstance(thing, Worded) for thing in half.things]
    assert 0.4 < np.mean(own) < 0.6
    for thing, before, is_own in zip(half.things, plain.things, own, strict=True):
        assert (thing.rgba == before.rgba).all()
        assert thing.name.lower() == before.name.lower()
        assert len(thing.document().images) == (1 if is_own else 2)
    assert [thing.text for thing in half.things] == [
        thing.text for thing in Fiction(300, own=0.5).things
    ]
    # Which are one's own does not depend on how many there are.
    assert [isinstance(thing, Worded) for thing in Fiction(50, own=0.5).things] == own[:50]


def test_names_are_spelt_of_every_id_and_read_back_as_these(codec):
    spelling = Spelling(codec.text, 0.5)
    first, further = map(set, spelling.pieces)
    names = [spelling.name(np.random.default_rng(seed)) for seed in range(1500)]
    assert names == [spelling.name(np.random.default_rng(seed)) for seed in range(1500)]
    counts = np.zeros(len(codec.text), np.int64)
    for name in names:
        ids = codec.text.encode(name)
        assert {*ids} <= first | further
        assert all(word.isalnum() for word in name.split(" "))
        counts[ids] += 1
    met = counts[[*first | further]] > 0
    assert met.mean() > 0.95


def test_some_fictional_things_are_spelt_so_and_the_others_stay(codec):
    plain = Fiction(200).things
    some = Fiction(200, spelling=Spelling(codec.text, 0.5)).things
    renamed = [one.name != other.name for one, other in zip(some, plain, strict=True)]
    assert 0.35 < np.mean(renamed) < 0.65
    for one, other in zip(some, plain, strict=True):
        assert (one.rgba == other.rgba).all()
        assert one.name.startswith("flag of ") == other.name.startswith("flag of ")
