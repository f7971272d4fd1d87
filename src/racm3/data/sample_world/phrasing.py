"""What people say of a scene who do not know our captions: a dog and a cat, a tiny crown."""

import re
from collections.abc import Mapping

import numpy as np

from racm3.data.sample_world.scenes import NUMBERS, Scene

Ways = Mapping[str, tuple[str, ...]]
NO_WAYS: Ways = {}
# Who stands left or above comes first, or second after what says the opposite. Pictures are flat:
# what is in another thing, or in front of it, stands beside it.
BESIDE = (
    "{a} and {b}",
    "{a} and {b}",
    "{a} and {b}",
    "{a} next to {b}",
    "{a} beside {b}",
    "{a} with {b}",
    "{a} & {b}",
    "{a} near {b}",
    "{a} behind {b}",
    "{a} in front of {b}",
    "{a} in {b}",
    "{a} to the left of {b}",
    "{b} right of {a}",
    "{b} to the right of {a}",
)
ABOVE = (
    "{a} over {b}",
    "{a} on top of {b}",
    "{a} on {b}",
    "{b} below {a}",
    "{b} under {a}",
    "{b} beneath {a}",
)
# What people say who put two things into a sentence: above is who rides, or is worn.
DOING = {
    "left of": ("{a} holding {b}", "{a} eating {b}", "{a} chasing {b}", "{a} looking at {b}"),
    "above": ("{a} riding {b}", "{b} wearing {a}"),
}
# Words that say as often what a thing stands on.
AS_GROUNDS = {
    "left of": ("{a} with {b}", "{a} in {b}", "{a} in front of {b}"),
    "above": ("{a} on {b}",),
}
TWICE = {
    "left of": (
        "two {many}",
        "two {many}",
        "two {many} side by side",
        "two {many} in a row",
        "two {many} next to each other",
    ),
    "above": ("two {many} one above the other", "two {many}, one on top and one below"),
}
# What joins three things or four, and the last of them.
SEVERAL = ((", ", " and "), (", ", " and "), (", ", ", and "), (" and ", " and "), (", ", ", "))
SIZED = {"small": ("small", "tiny", "little"), "large": ("", "big", "large")}
PLACED = {
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top", "on top"),
    "bottom": ("at the bottom",),
}
GROUNDS = (
    "{what} on {a} {ground} background",
    "{what} on {a} {ground} field",
    "{what} on {ground}",
    "{what} in front of {a} {ground} background",
    "{what} with {a} {ground} background",
    "{what}, {ground} background",
)
# How often a plain white background is not said.
UNSAID = 0.6
# What people put around it.
OPENINGS = (
    "a photo of {what}",
    "a drawing of {what}",
    "An image of {what}.",
    "Draw {what}.",
    "please draw me {what}",
    "{what}.",
)
IRREGULAR = {"man": "men", "woman": "women", "person": "people", "child": "children"}
IRREGULAR |= {"mouse": "mice", "foot": "feet", "tooth": "teeth", "sheep": "sheep", "fish": "fish"}
AFTER_A_NOUN = (" of ", " with ", " without ", " in ", " on ", " behind ", " from ")


def phrased(
    scene: Scene, rng: np.random.Generator, *, ways: Ways = NO_WAYS, share: float = 1.0
) -> str:
    """One of many ways to say what a scene of up to four things shows.

    Args:
        scene: It.
        rng: What chooses.
        ways: What joins two things by how they stand, `share` of the time; else as all do.
        share: See `ways`.
    """
    if len(scene.things) == 1:
        what = _one(scene, rng)
    else:
        what = _pair(scene, rng, ways, share) if len(scene.things) == 2 else _several(scene, rng)
    if scene.colour == "white" and scene.texture == "plain" and rng.random() < UNSAID:
        return what
    ground = scene.colour if scene.texture == "plain" else f"{scene.texture} {scene.colour}"
    article = "an" if ground[0] in "aeiou" else "a"
    return str(rng.choice(GROUNDS)).format(what=what, a=article, ground=ground)


def _one(scene: Scene, rng: np.random.Generator) -> str:
    noun = scene.things[0].noun
    size = "tilted" if scene.tilted else str(rng.choice(SIZED[scene.size]))
    noun = looking(noun, f"{size} {''.join(scene.dyes)}".strip())
    return noun if scene.place == "centre" else f"{noun} {rng.choice(PLACED[scene.place])}"


def _pair(scene: Scene, rng: np.random.Generator, ways: Ways, share: float) -> str:
    one, other = scene.things
    if one is other and len({*scene.dyes}) < 2:
        many = " ".join([*scene.dyes[:1], plural(one.name)])
        return str(rng.choice(TWICE[scene.relation])).format(many=many)
    some: tuple[str, ...] = BESIDE if scene.relation == "left of" else ABOVE
    if ways and rng.random() < share:
        some = ways[scene.relation]
    left, right = (looking(thing.noun, dye) for thing, dye in scene.looks)
    return str(rng.choice(some)).format(a=left, b=right)


def _several(scene: Scene, rng: np.random.Generator) -> str:
    first, many = scene.things[0], NUMBERS[len(scene.things)]
    if len({*scene.looks}) == 1:
        return " ".join([many, *scene.dyes[:1], plural(first.name)])
    between, before_last = SEVERAL[rng.integers(len(SEVERAL))]
    *some, last = (looking(thing.noun, dye) for thing, dye in scene.looks)
    return f"{between.join(some)}{before_last}{last}"


def looking(noun: str, look: str) -> str:
    """How people say what a thing looks like: a small blue dog."""
    if not look:
        return noun
    _, rest = noun.split(" ", 1)
    the = "the" if noun.startswith("the ") else "an" if look[0] in "aeiou" else "a"
    return f"{the} {look} {rest}"


def opened(text: str, rng: np.random.Generator) -> str:
    """The same as some ask for it: a photo of it, with a capital, or a full stop."""
    said = str(rng.choice(OPENINGS)).format(what=text)
    return said[0].upper() + said[1:] if said.endswith(".") else said


def plural(name: str) -> str:
    """Several of what has this name: two flags of Uganda, two ladies' hats, two foxes."""
    starts = [name.index(word) for word in AFTER_A_NOUN if word in name]
    head = name[: min(starts, default=len(name))]
    before, space, noun = head.rpartition(" ")
    if noun in IRREGULAR:
        many = IRREGULAR[noun]
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        many = f"{noun[:-1]}ies"
    elif noun.endswith("s") and not noun.endswith("ss"):
        many = noun
    else:
        many = f"{noun}{'es' if noun.endswith(('ss', 'x', 'ch', 'sh')) else 's'}"
    return before + space + many + name[len(head) :]


def carelessly(text: str, rng: np.random.Generator) -> str:
    """The same as some type it: see `CARELESS`."""
    return str(rng.choice([form(text) for form in CARELESS]))


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


# A capital begins it, or every word; nothing but capitals; no articles.
CARELESS = (
    _begun,
    lambda text: " ".join(map(_begun, text.split(" "))),
    str.upper,
    lambda text: re.sub(r"\b(?:an?|the) ", "", text),
)
