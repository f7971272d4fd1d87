"""What the rest of a picture says of a part that is redrawn."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from racm3.data.sample_world.reading import (
    GROUND_SAID,
    GROUNDS,
    LAYOUTS,
    MIDDLES,
    NOUNS,
    SMALLER,
)
from racm3.data.sample_world.scenes import COLOURS, PLACES, Scene
from racm3.data.sample_world.things import held_out_things, seen_things
from racm3.document import Image
from racm3.errors import ConfigError
from racm3.evaluation.fidelity import thing_box
from racm3.recipes.sample import sample_cpu
from racm3.runtime import dice
from racm3.system import RACM3, Settings
from racm3.system.rephrasing import Rephrasing
from racm3.system.surroundings import Part, Surroundings
from tests.conftest import picture

OURS = Surroundings(
    grounds=GROUNDS, places=MIDDLES, layouts=LAYOUTS, nouns=NOUNS, sure=0.84, small=SMALLER,
    unless=GROUND_SAID,
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_small_thing_is_said_as_our_captions_say_it(place, colour):
    """By its name alone, of whatever stood in its place."""
    for number, thing in enumerate(held_out_things()[:20]):
        scene = Scene((thing,), colour=colour, size="small", place=place)
        other = scene.showing(held_out_things()[number + 1])
        part = Part.of(scene.draw(), thing_box(scene, 64))
        assert OURS.said(other.things[0].noun, part) == other.captions()[0]


@pytest.mark.parametrize("relation", ["left of", "above"])
def test_one_of_two_stands_where_it_is_seen_to_stand(relation):
    one, other, new = held_out_things()[:3]
    scene = Scene((one, other), colour="blue", size="small", relation=relation)
    places = ("left", "right") if relation == "left of" else ("top", "bottom")
    for which, place in enumerate(places):
        part = Part.of(scene.draw(), thing_box(scene, 64, which))
        alone = Scene((new,), colour="blue", size="small", place=place)
        assert OURS.said(new.noun, part) == alone.captions()[0]
        assert OURS.said(f"{new.name}", part) == f"small {alone.captions()[0].split(' ', 2)[2]}"


def small_scenes(count: int, number: int) -> Iterator[tuple[Scene, int]]:
    """Scenes of some different things, and which of them is exchanged."""
    for seed in range(number):
        rng = dice(seed, count)
        shown = tuple(held_out_things()[row] for row in rng.choice(184, count, replace=False))
        scene = replace(Scene.random(shown, rng, count=2), things=shown, texture="plain")
        yield scene, int(rng.integers(count))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_what_stands_in_the_other_places_is_seen_by_itself(count):
    missed = 0
    for scene, which in small_scenes(count, 40):
        part = Part.of(scene.draw(), thing_box(scene, 64, which))
        ways = OURS.others("an owl", part)
        nouns = [thing.noun for thing in scene.things]
        alone = [
            replace(scene, things=(thing,), size="small", place="centre").draw()
            for place, thing in enumerate(scene.things)
            if place != which
        ]
        ways = [way for way in ways if way.said.count("{}") == count]
        ours = [way for way in ways if way.said.format(*nouns) == scene.captions()[0]]
        missed += not ours
        for way in ours:
            assert (way.own, way.seen) == (which, alone)
    assert missed <= 4  # where a thing at the edge leaves hardly any ground


def test_nothing_stands_beside_a_part_of_a_bare_ground_or_of_a_large_thing():
    mask = np.zeros((64, 64), dtype=bool)
    mask[:32, :32] = True
    assert not OURS.others("an owl", Part.of(Scene((), colour="pink").background(), mask))
    for thing in held_out_things()[8:40]:
        if thing.name.startswith("flag of"):
            large = Scene((thing,), colour="green").draw()
            assert not OURS.others("an owl", Part.of(large, mask))
    scene = Scene(held_out_things()[:3], colour="pink", size="small")
    part = Part.of(scene.draw(), thing_box(scene, 64, 1))
    assert OURS.others("an owl", part)
    for said in ("an owl on a pink background", "an owl at the top"):
        assert not OURS.others(said, part)
    assert not Surroundings(grounds=GROUNDS, places=MIDDLES).others("an owl", part)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_one_of_several_is_read_beside_what_the_memory_knows_of_the_others(count, shipped):
    right, squid = 0, next(one for one in seen_things() if one.name == "squid")
    for scene, which in small_scenes(count, 20):
        wanted = (*scene.things[:which], squid, *scene.things[which + 1 :])
        cells = shipped.voice.cells(thing_box(scene, 64, which))
        part = shipped.voice.part(scene.draw(), cells)
        read = shipped.library.rephrased("A squid", shipped.parts.settings, redrawn=part)
        right += read == scene.showing(*wanted).captions()[0]
        typed = replace(shipped.parts.settings, as_typed=True)
        assert shipped.library.rephrased("A squid", typed, redrawn=part) == "A squid"
    assert right >= 15


@pytest.mark.parametrize("relation", ["left of", "above"])
def test_whoever_paints_over_a_half_means_one_of_two_where_no_thing_goes_on(relation):
    some, cut = held_out_things()[8:40], 0 if relation == "above" else 1
    said = {"left of": ("left", "right"), "above": ("top", "bottom")}[relation]
    for number, thing in enumerate(some[1:]):
        scene = Scene((thing, some[number]), colour="green", size="small", relation=relation)
        for which, place in enumerate(said):
            mask = np.zeros((64, 64), dtype=bool)
            mask[(slice(None),) * cut + (slice(32 * which, 32 * which + 32),)] = True
            read = OURS.said("an owl", Part.of(scene.draw(), mask))
            assert read == f"a small owl at the {place} on a green background"
            blank = OURS.said("an owl", Part.of(scene.background(), mask))
            assert blank == read
            # A large flag goes through the middle.
            flag = next(one for one in held_out_things() if one.name == "flag of Uganda")
            part = Part.of(Scene((flag,), colour="green").draw(), mask)
            assert OURS.said("an owl", part) in ("an owl", "an owl on a green background")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("an owl", "a small owl at the left on a pink background"),
        ("the flag of Mali", "the small flag of Mali at the left on a pink background"),
        ("a tiny owl", "a tiny owl at the left on a pink background"),
        ("an owl at the right", "a small owl at the right on a pink background"),
        ("two of an owl", "two of an owl at the left on a pink background"),
        ("an owl on a blue background", "an owl on a blue background"),
        ("an owl on blue", "an owl on blue"),
    ],
)
def test_what_is_said_already_is_not_said_again(said, read):
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:48, 2:30] = True
    pink = Image(np.full((64, 64, 3), COLOURS["pink"], dtype=np.uint8))
    assert OURS.said(said, Part.of(pink, mask)) == read
    mask[2:62, 2:62] = True
    large = "an owl on a pink background"
    assert OURS.said("an owl", Part.of(pink, mask)) == large
    # A world that says neither sizes nor places.
    plain = Surroundings(grounds={"on pink": COLOURS["pink"]})
    assert plain.said("an owl", Part.of(pink, mask)) == "an owl on pink"


def test_nothing_is_said_of_a_ground_that_has_no_name():
    mask = np.zeros((64, 64), dtype=bool)
    mask[:32, :32] = True
    for seed in range(20):
        assert OURS.said("an owl", Part.of(picture(seed, 64, 64), mask)) == "an owl"
    noise = np.random.default_rng(0).integers(-20, 20, (64, 64, 3))
    noisy = Image((np.array(COLOURS["green"]) + noise).astype(np.uint8))
    assert OURS.ground(Part.of(noisy, mask)) == "on a green background"
    # Nor where nothing is left to be seen.
    assert OURS.said("an owl", Part.of(noisy, np.ones((64, 64), dtype=bool))) == "an owl"


def test_a_part_is_its_box_in_shares_of_the_sides():
    mask = np.zeros((8, 8), dtype=bool)
    mask[1, 2] = mask[4, 5] = True
    part = Part.of(Image(np.zeros((8, 8, 3), dtype=np.uint8)), mask)
    assert part[:3] == (0.5, 0.5, (0.5, 0.375))
    assert part.rest.shape == (62, 3)
    assert part.edge.shape == (16, 3)


def test_a_pattern_that_is_none_is_refused():
    for wrong in ({"unless": "("}, {"small": {"(": ""}}, {"nouns": {"(": ""}}):
        with pytest.raises(ConfigError, match=r"surroundings '\(' is no regular expression"):
            Surroundings(**wrong)


def test_they_are_saved_with_a_system_and_said_where_a_part_is_redrawn(system, tmp_path):
    grounds = {"on grey": (100, 100, 100)}
    rephrasing = Rephrasing(surroundings=Surroundings(grounds=grounds), whole={"(.+)": r"\1 on no"})
    RACM3(replace(system.parts, rephrasing=rephrasing)).save(tmp_path / "one")
    saved = RACM3.open(tmp_path / "one", device="cpu").parts.rephrasing
    assert saved == rephrasing
    again = RACM3(replace(system.parts, rephrasing=saved))
    side = system.codec.image.side
    grey, mask = Image(np.full((side, side, 3), 100, np.uint8)), np.zeros((side, side), dtype=bool)
    mask[:4] = True
    for name, revised in (("a guitar", "a guitar on grey"), ("", None), ("  ", None)):
        assert again.infill(grey, mask, name, Settings()).revised_prompt == revised
    assert again.infill(picture(1, side, side), mask, "a guitar").revised_prompt is None
    typed = again.infill(grey, mask, "a guitar", Settings(as_typed=True))
    assert typed.revised_prompt is None
    # Older systems know none.
    assert Rephrasing.of_json({"alone": {}}) == Rephrasing()
    assert sample_cpu().rephrasing.surroundings == OURS
