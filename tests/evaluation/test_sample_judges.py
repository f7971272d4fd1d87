"""Judges of the sample world, shown pictures whose right answers are known."""

import re
from collections import defaultdict
from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from racm3.data.sample_world.phrasing import AS_GROUNDS
from racm3.data.sample_world.scenes import COLOURS, PLACES, RELATIONS, Chances, Scene, in_dye
from racm3.data.sample_world.things import SIZES, held_out_things, things
from racm3.document import Image
from racm3.errors import ConfigError
from racm3.evaluation.attributes import dyes as seen_dyes
from racm3.evaluation.attributes import in_its_dyes, obeyed, says_dye, says_number
from racm3.evaluation.fidelity import emptied, faithful, nearest_things, thing_box
from racm3.evaluation.invented import invented_things, recognised, taught
from racm3.evaluation.sample_edits import edits, in_peoples_words, likened, much_read, repeated
from racm3.evaluation.sample_tasks import captions, drawings, faithfully_kept, own_drawings
from racm3.runtime import dice
from racm3.system import Drawing, Settings, Writing
from racm3.tokens.image import ImageTokenizer

GUITAR = next(thing for thing in things() if thing.name == "guitar")
BLUE = Scene((GUITAR,), dyes=("blue",))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("colour", ["white", "blue", "pink"])
def test_a_scene_obeys_its_own_caption_and_not_another_ones(place, colour):
    scene = Scene((GUITAR,), colour=colour, size="small", place=place)
    assert all(obeyed(scene.draw(), scene))
    elsewhere = Scene((GUITAR,), colour=colour, size="small", place="left")
    if place != "left":
        assert not obeyed(elsewhere.draw(), scene).side
    other = Scene((GUITAR,), colour="green", size="small", place=place)
    assert not obeyed(other.draw(), scene).background
    assert not obeyed(Scene((GUITAR,), colour=colour).draw(), scene).size


@pytest.mark.parametrize("colour", COLOURS)
def test_the_background_of_a_large_thing_is_seen_in_the_corners(colour):
    scene = Scene((GUITAR,), colour=colour)
    assert obeyed(scene.draw(), scene).background


def test_attributes_of_most_random_scenes_are_read_right():
    rng = dice(4)
    some = [
        Scene.random(held_out_things(), rng, count=1, chances=Chances(dyed=0.3)) for _ in range(60)
    ]
    right = np.array([obeyed(scene.draw(), scene) for scene in some])
    assert (right.mean(axis=0) > 0.85).all()


@pytest.mark.parametrize("dye", ["", "green", "orange", "black"])
def test_a_thing_is_recognised_in_its_dye_and_no_other_one_passes_for_it(dye):
    scenes = [Scene((thing,), colour="yellow", dyes=(dye,)) for thing in held_out_things()[::40]]
    other = "red" if dye == "blue" else "blue"
    for scene in scenes:
        assert faithful(scene.draw(), scene)
        assert obeyed(scene.draw(), scene).dye
        assert not obeyed(replace(scene, dyes=(other,)).draw(), scene).dye


@pytest.mark.parametrize("relation", RELATIONS)
def test_each_of_two_things_is_judged_by_its_own_dye(relation):
    some = held_out_things()[3], held_out_things()[90]
    scene = Scene(some, colour="pink", size="small", relation=relation, dyes=("blue", ""))
    for dyes, right in (
        (("blue", ""), True),
        (("", "blue"), False),
        (("blue", "red"), False),
        (("green", ""), False),
        ((), False),
    ):
        picture = replace(scene, dyes=dyes).draw()
        assert in_its_dyes(picture, scene) == right
        assert seen_dyes(picture, scene) == list(dyes or ("", ""))
    assert faithful(scene.draw(), scene)
    assert not faithful(scene.showing(*reversed(some)).draw(), scene)


def test_a_caption_that_calls_a_thing_dyed_is_right_about_dyed_things_alone(system):
    """Two scenes, one of them dyed; one system says so of both, the other one of none."""

    def saying(text):
        other, written = copy(system), Writing("", (), "", Settings(), (text,), (1.0,))
        other.caption = lambda picture, settings: written
        return other

    some = [(scene, scene.document(dice(6))) for scene in (Scene((GUITAR,)), BLUE)]
    always, never = saying("a guitar dyed blue on white"), saying("a guitar on white")
    rows = {row.measure: row for row in captions(always, never, some, Settings(), "here", [])}
    said, named = rows["caption says whether it is dyed"], rows["caption names the thing"]
    assert named.racm3.value == 1
    assert (said.racm3.value, said.cm3 and said.cm3.value) == (0.5, 0.5)
    assert not says_dye("a guitar dyed red on white", BLUE)


def test_what_is_described_of_its_own_is_what_it_drew(system):
    """Both are shown the drawing, not the scene."""
    shown, one = [], copy(system)

    def caption(picture, settings):
        shown.append(picture)
        named = "a guitar on white" if picture == drawn[settings.seed] else "nothing"
        return Writing(named, (), "", settings, (named,), (1.0,))

    drawn = [Image(np.full((8, 8, 3), seed, np.uint8)) for seed in (0, 1)]
    one.draw = lambda text, settings: SimpleNamespace(image=drawn[settings.seed])
    one.caption = caption
    some = [(scene, scene.document(dice(6))) for scene in (Scene((GUITAR,)), BLUE)]
    rows = own_drawings(one, one, some, Settings(), "here")
    assert {row.on for row in rows} == {"here, drawn by RA-CM3"}
    assert rows[0].measure == "caption names the thing"
    assert rows[0].racm3.value == rows[0].cm3.value == 1
    assert [picture.pixels[0, 0, 0] for picture in shown] == [0, 0, 1, 1]


def test_a_caption_of_one_thing_says_no_number_and_of_several_theirs():
    """Four of a guitar has named the guitar, and is wrong where there is one."""
    robot = next(thing for thing in things() if thing.name == "robot")
    one, mixed = Scene((GUITAR,)), Scene((GUITAR, GUITAR, robot))
    twice, four = Scene((GUITAR,) * 2), Scene((GUITAR,) * 4)
    for scene in (one, twice, four, mixed):
        assert all(says_number(caption, scene) for caption in scene.captions())
        other = four if scene is not four else twice
        assert not says_number(other.captions()[0], scene)
    assert not says_number("three of the flag of Italy, blue background", one)


def test_thing_and_dye_are_both_right_where_the_same_drawing_has_both(system):
    """A blue guitar is asked for four times: that, one in no dye, a red one and a blue robot."""
    robot = next(thing for thing in things() if thing.name == "robot")
    drawn = [
        BLUE,
        replace(BLUE, dyes=()),
        replace(BLUE, dyes=("red",)),
        replace(BLUE, things=(robot,)),
    ]
    other = copy(system)
    other.draw = lambda text, settings: Drawing(
        text, (), "", settings, (drawn[settings.seed].draw(),), (1.0,)
    )
    asked = [(BLUE, BLUE.document(dice(6)))] * 4
    rows = {row.measure: row for row in drawings(other, other, asked, Settings(), "here", [])}
    assert rows["fidelity[pixels-2x2]"].racm3.value == 3 / 4
    assert rows["dye as the caption says"].racm3.value == 2 / 4
    assert rows["right, and in the dye asked for"].racm3.value == 1 / 4
    scene = replace(BLUE, dyes=())
    plain = [(scene, scene.document(dice(6)))]
    assert not any(
        "dye too" in row.measure for row in drawings(other, other, plain, Settings(), "", [])
    )


def test_what_a_tokenizer_keeps_of_a_dyed_thing_may_be_all_but_its_dye():
    class Undyed(ImageTokenizer):
        def __init__(self):
            pass

        def encode(self, pictures):
            return np.arange(len(pictures))[:, None]

        def decode(self, codes):
            return [replace(BLUE, dyes=()).draw() for _ in codes]

    some = [(BLUE, BLUE.document(dice(6)))]
    assert faithfully_kept(Undyed(), some) == [1.0]
    assert faithfully_kept(Undyed(), some, dyed=True) == [0.0]


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("count", [1, 2])
def test_the_nearest_thing_is_that_of_the_nearest_picture(count, side):
    """Against drawing the scene with every thing and comparing pixels."""
    some, rng = held_out_things()[::6], dice(5)
    for _ in range(12):
        scene = Scene.random(some, rng, count=count, chances=Chances(rare=0.3, dyed=0.5))
        noise = rng.normal(0, 60, (side, side, 3))
        picture = Image((scene.draw(side).pixels + noise).clip(0, 255).astype(np.uint8))
        drawn = [_halved(scene.showing(*[thing] * count).draw(side)) for thing in some]
        apart = np.square(np.stack(drawn) - _halved(picture)).sum(axis=3)
        half = SIZES[scene.size] * side // 128
        corners = [(left // 2, top // 2) for left, top in scene.corners(side)]
        assert nearest_things(picture, scene, among=some) == [
            apart[:, top : top + half, left : left + half].sum(axis=(1, 2)).argmin()
            for left, top in corners
        ]


def _halved(picture: Image) -> np.ndarray:
    whole = picture.pixels.astype(float)
    return (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4


def test_only_the_part_is_judged():
    left, right = held_out_things()[3], held_out_things()[150]
    scene, other = Scene((left,)), Scene((right,))
    mask = np.zeros((64, 64), dtype=bool)
    mask[:, 32:] = True
    pixels = np.where(mask[..., None], scene.draw().pixels, other.draw().pixels)
    mixed = type(scene.draw())(pixels)
    assert faithful(mixed, scene, part=mask)
    assert faithful(mixed, other, part=~mask)
    assert not faithful(mixed, other, part=mask)


@pytest.mark.parametrize("size", SIZES)
def test_a_place_is_emptied_where_the_ground_is_left_and_no_thing(size):
    rng = dice(9)
    for thing in held_out_things()[::20]:
        scene = Scene((thing,), colour="blue", texture="checked", size=size)
        noise = rng.normal(0, 20, (64, 64, 3))
        bare, whole = (
            Image((one.pixels + noise).clip(0, 255).astype(np.uint8))
            for one in (scene.background(), scene.draw())
        )
        assert emptied(bare, scene)
        assert not emptied(whole, scene)
        assert not emptied(scene.showing(GUITAR).draw(), scene)


def test_the_square_of_a_thing_holds_all_that_tells_it_from_its_ground():
    for scene in (Scene((GUITAR,), size="small", place="left"), Scene((GUITAR, GUITAR))):
        boxes = [thing_box(scene, 64, which) for which in range(len(scene.things))]
        apart = (scene.draw().pixels != scene.background().pixels).any(axis=2)
        assert apart.any()
        assert not (apart & ~np.logical_or.reduce(boxes)).any()


@pytest.mark.parametrize("each", [1, 2])
def test_edits_are_right_where_the_thing_asked_for_stands_and_nothing_where_none_is(system, each):
    """One system does all that is asked, one leaves pictures as they are."""
    held = held_out_things()[3:7]
    scenes = [Scene(held[i * each :][:each], colour="pink", size="small") for i in (0, 1)]
    some = [(scene, scene.document(dice(6))) for scene in scenes]
    obedient, lazy = copy(system), copy(system)

    def obey(picture, mask, words, settings):
        scene, which = scenes[settings.seed], int(each == 2 and not mask[32, 8])
        kept = list(scene.things)
        new = [one for one in held if one.name in words and one not in kept]
        kept[which : which + 1] = new
        return SimpleNamespace(image=scene.showing(*kept).draw())

    obedient.infill = obey
    lazy.infill = lambda picture, mask, words, settings: SimpleNamespace(image=picture)
    rows = edits(obedient, lazy, some, Settings())
    assert len(rows) == (3 if each == 1 else 2)
    for row in rows:
        assert (row.racm3.value, row.cm3 and row.cm3.value) == (1, 0)


def test_what_is_drawn_after_an_example_and_after_many_documents_is_asked_so(system):
    scene = Scene((GUITAR,), colour="pink")
    asked, other = [], copy(system)

    def draw(text, settings, *, like=()):
        asked.append((settings.documents, len(like)))
        return SimpleNamespace(image=scene.draw())

    other.draw = draw
    some = [(scene, scene.document(dice(6)))]
    rows = [*likened(other, some, Settings()), *much_read(other, some, Settings())]
    assert [row.racm3.value for row in rows] == [1, 1, 1]
    assert asked == [(2, 1), (4, 0), (8, 0)]


def test_people_do_not_say_what_our_captions_say(system):
    """Asked as the system words it and as they type it, both of both systems."""
    heard = defaultdict[tuple[bool, bool], list[str]](list)

    def drawer(right: bool):
        one = copy(system)
        one.draw = lambda text, settings: (
            heard[right, settings.as_typed].append(text)
            or SimpleNamespace(image=(scene if right else scene.showing(GUITAR)).draw())
        )
        return one

    def asked(scene: Scene, **ways: object) -> tuple[list[str], set[str]]:
        heard.clear()
        some = [(scene, scene.document(dice(6)))] * 9
        rows = in_peoples_words(drawer(True), drawer(False), some, Settings(), **ways)
        assert [(row.racm3.value, row.cm3 and row.cm3.value) for row in rows] == [(1, 0), (1, 0)]
        # Several scenes are under way at once, in any order.
        assert len(heard) == 4
        assert len({tuple(sorted(texts)) for texts in heard.values()}) == 1
        return [row.on for row in rows], {*heard[True, False]}

    pair = (GUITAR, next(thing for thing in things() if thing.name == "violin"))
    scene = Scene(pair, colour="pink", size="small")
    where, said = asked(scene)
    assert where[1] == f"{where[0]}, read as typed"
    assert len(said) > 4
    assert not said & {*scene.captions()}
    where, said = asked(scene, words="joined", ways=AS_GROUNDS)
    assert where[0] == "2 held-out thing(s), joined"
    between = [re.search(f"{GUITAR.noun}(.*){pair[1].noun}", text) for text in said]
    assert {way[1].strip() for way in between if way} == {"with", "in", "in front of"}
    assert all(between)


def test_the_first_of_two_things_stands_in_both_places_in_the_one_dye_that_is_said():
    pair = held_out_things()[3], held_out_things()[90]
    scenes = [Scene(pair, size="small", dyes=dyes) for dyes in (("", "red"), ())]
    red, plain = repeated([(scene, scene.document(dice(1))) for scene in scenes])
    assert [scene.looks for scene, _ in (red, plain)] == [
        [(pair[0], "red")] * 2,
        [(pair[0], "")] * 2,
    ]
    assert red[1].images == (red[0].draw(),)
    assert f"two of {in_dye(pair[0].noun, 'red')} side by side" in red[1].text


def test_who_asks_for_a_blue_thing_is_judged_by_its_dye(system):
    scene = Scene((GUITAR,), colour="pink", dyes=("blue",))
    drawn = {True: scene, False: replace(scene, dyes=())}

    def drawer(right: bool):
        one = copy(system)
        one.draw = lambda text, settings: (
            heard.append(text) or SimpleNamespace(image=drawn[right].draw())
        )
        return one

    heard = list[str]()
    some = [(scene, scene.document(dice(6)))]
    rows = in_peoples_words(drawer(True), drawer(False), some, Settings())
    assert [row.measure for row in rows] == ["right, and in the dye asked for"] * 2
    assert [(row.racm3.value, row.cm3 and row.cm3.value) for row in rows] == [(1, 0), (1, 0)]
    assert set(heard) == {heard[0]}
    assert " blue guitar" in heard[0]
    assert all("blue guitar" in text for text in heard)


def test_every_invented_thing_has_a_name_of_its_own():
    every = invented_things(550, seed=3)
    assert len({thing.name for thing in every}) == 550
    assert [t.name for t in invented_things(40, seed=3)] == [t.name for t in every[:40]]
    with pytest.raises(ConfigError, match="551 invented things"):
        invented_things(551)


def test_invented_things_are_told_apart_and_no_name_is_known():
    some = invented_things(24)
    assert [t.name for t in some] == [t.name for t in invented_things(24)]
    assert len({t.name for t in some}) == 24
    assert not {t.name for t in some} & {t.name for t in things()}
    pictures = [thing.document().images[0] for thing in some]
    assert [recognised(picture, pictures) for picture in pictures] == list(range(24))


def test_teaching_is_adding_to_the_memory_and_nothing_else(system):
    (thing,) = invented_things(1)
    document = thing.document()
    wiser = taught(system, [document])
    assert wiser.engine.model is system.engine.model
    consulted = wiser.consult(document, Settings(documents=1))
    assert consulted[0].document == document
    assert all(one.document != document for one in system.consult(document, Settings(documents=5)))
