"""Scenes: up to four things somewhere on a background, with a caption that says so.

A scene is a value; drawing it and captioning it are pure. Whoever wants a random one brings the
dice, so a stream of scenes is a function of its seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as PIL
from PIL import ImageOps

from racm3.data.sample_world.things import SIZES, Thing
from racm3.document import Document, Image

COLOURS = {
    "white": (255, 255, 255),
    "grey": (190, 190, 196),
    "orange": (247, 190, 130),
    "yellow": (250, 230, 120),
    "green": (160, 220, 170),
    "blue": (140, 190, 240),
    "purple": (195, 165, 235),
    "pink": (248, 175, 200),
}
TEXTURES = ("plain", "striped", "checked")
PLACES = {
    "centre": (0.5, 0.5),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
}
RELATIONS = ("left of", "above")
# Where several stand, in the order in which they are said, in shares of the room.
SEVERAL = {
    3: ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)),
    4: ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)),
}
NUMBERS = {2: "two", 3: "three", 4: "four"}
TILT = 20
STRIPE = 8
# What a thing can be dyed, and the colour that its middle shades get: the basic colours of English
# (Berlin & Kay 1969).
DYES = {
    "grey": (128, 128, 128),
    "red": (220, 60, 60),
    "green": (60, 160, 80),
    "blue": (60, 110, 220),
    "yellow": (240, 215, 60),
    "orange": (245, 145, 40),
    "purple": (140, 80, 200),
    "pink": (245, 140, 190),
    "brown": (140, 90, 50),
    "black": (45, 45, 45),
    "white": (225, 225, 225),
}
# How often one of two things that are dyed stays as it is.
AS_IT_IS = 0.3


@dataclass(frozen=True, slots=True)
class Chances:
    """How often a random scene is out of the ordinary.

    Args:
        rare: The chance of each rare look: striped, checked, and of one thing tilted.
        dyed: The chance that a thing that stands alone has another colour than its own.
        coloured: The chance that one of different things has, or each of them.
    """

    rare: float = 0.05
    dyed: float = 0.0
    coloured: float = 0.0


USUAL = Chances()


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands where, and on what; `dyes` has one for every thing, an empty one for a thing as
    it is, or none at all where nothing is dyed."""

    things: tuple[Thing, ...]
    colour: str = "white"
    texture: str = "plain"
    size: str = "large"
    place: str = "centre"
    tilted: bool = False
    relation: str = "left of"
    dyes: tuple[str, ...] = ()

    @classmethod
    def random(
        cls,
        things: Sequence[Thing],
        rng: np.random.Generator,
        *,
        count: int | None = None,
        chances: Chances = USUAL,
    ) -> "Scene":
        """A scene of `count` things, four at most; most have one thing where it is not said."""
        count = count or (1 if rng.random() < 0.8 else 2)
        first = things[int(rng.integers(len(things)))]
        second = first if rng.random() < 0.15 else things[int(rng.integers(len(things)))]
        small = count > 1 or rng.random() < 0.5
        anywhere = tuple(PLACES)[rng.integers(len(PLACES))]
        white = rng.random() < 0.25
        rare = chances.rare
        scene = cls(
            things=(first, second)[:count],
            colour="white" if white else tuple(COLOURS)[rng.integers(len(COLOURS))],
            texture=rng.choice(TEXTURES, p=(1 - 2 * rare, rare, rare)).item(),
            size="small" if small else "large",
            place=anywhere if count == 1 and small else "centre",
            tilted=count == 1 and rng.random() < rare,
            relation=RELATIONS[rng.integers(len(RELATIONS))],
        )
        if count > 2:
            more = [things[int(rng.integers(len(things)))] for _ in range(count - 2)]
            more = [first for _ in more] if second is first and rng.random() < 0.5 else more
            scene = scene.showing(first, second, *more)
        some = chances.coloured if count > 1 else chances.dyed
        if not some or (count > 1 and second is first) or rng.random() >= some:
            return scene
        dyes = [tuple(DYES)[rng.integers(len(DYES))] for _ in scene.things]
        if count > 1 and rng.random() < AS_IT_IS:
            dyes[rng.integers(count)] = ""
        return replace(scene, dyes=tuple(dyes))

    @property
    def looks(self) -> list[tuple[Thing, str]]:
        """The things, and how each is dyed."""
        return list(zip(self.things, self.dyes or ("",) * len(self.things), strict=True))

    def showing(self, *things: Thing) -> "Scene":
        """The same scene with other things in it, or with nothing."""
        return replace(self, things=things, dyes=self.dyes if things else ())

    def background(self, side: int = 64) -> Image:
        """The scene with nothing in it."""
        return Image.of(_background(self.colour, self.texture, side))

    def draw(self, side: int = 64) -> Image:
        canvas = _background(self.colour, self.texture, side)
        pixels = round(SIZES[self.size] * side / 64)
        for (thing, dye), (left, top) in zip(self.looks, self.corners(side), strict=True):
            glyph = dyed(thing.drawn(pixels), dye)
            if self.tilted:
                glyph = glyph.rotate(TILT, PIL.Resampling.BICUBIC)
            canvas.alpha_composite(glyph, (left, top))
        return Image.of(canvas)

    def corners(self, side: int) -> list[tuple[int, int]]:
        """Left and top of every place where a thing stands."""
        room = side - round(SIZES[self.size] * side / 64)
        if not self.things:
            return []
        if len(self.things) == 1:
            x, y = PLACES[self.place]
            return [(round(x * room), round(y * room))]
        if several := SEVERAL.get(len(self.things)):
            return [(round(x * room), round(y * room)) for x, y in several]
        if self.relation == "left of":
            return [(0, room // 2), (room, room // 2)]
        return [(room // 2, 0), (room // 2, room)]

    def captions(self) -> tuple[str, ...]:
        """Every way to say what the scene shows."""
        ground = self.colour if self.texture == "plain" else f"{self.texture} {self.colour}"
        article = "an" if ground[0] in "aeiou" else "a"
        if not self.things:
            return (
                f"{article} {ground} background",
                f"{article} {ground} field",
                f"an empty {ground} background",
                f"nothing on {article} {ground} background",
            )
        what = self._subject()
        return (
            f"{what} on {article} {ground} background",
            f"{what} on {article} {ground} field",
            f"{what}, {ground} background",
            f"a picture of {what} on {ground}",
        )

    def caption(self, rng: np.random.Generator) -> str:
        forms = self.captions()
        return forms[rng.integers(len(forms))]

    def hints(self) -> tuple[str, ...]:
        """What people type who leave to the picture what it shows anyway: a name, and perhaps how
        large and where the thing is."""
        return self.things[0].noun, self.things[0].noun, self.things[0].name, self._subject()

    def _subject(self) -> str:
        first, many = self.things[0], len(self.things)
        if many > 1:
            nouns = [in_dye(thing.noun, dye) for thing, dye in self.looks]
            if len({*self.looks}) > 1:
                return f" {self.relation} ".join(nouns) if many == 2 else listed(nouns)
            beside = " side by side" if self.relation == "left of" else " one above the other"
            return f"{NUMBERS[many]} of {nouns[0]}{beside * (many == 2)}"
        qualities = ["small" * (self.size == "small"), "tilted" * self.tilted]
        words = " ".join(word for word in qualities if word)
        noun = first.noun
        if words:
            article, rest = noun.split(" ", 1)
            noun = f"{'a' if article == 'an' else article} {words} {rest}"
        noun = in_dye(noun, "".join(self.dyes))
        return noun if self.place == "centre" else f"{noun} at the {self.place}"

    def document(self, rng: np.random.Generator) -> Document:
        return Document.of(self.caption(rng), self.draw())


def in_dye(noun: str, dye: str) -> str:
    """How our captions say it."""
    return f"{noun} dyed {dye}" if dye else noun


def listed(nouns: Sequence[str]) -> str:
    """How several things are said: a cat, a dog and a bird."""
    return f"{', '.join(nouns[:-1])} and {nouns[-1]}"


def dyed(glyph: PIL.Image, dye: str) -> PIL.Image:
    """A thing's light and shade in one hue; without a dye it stays as it is."""
    if not dye:
        return glyph
    shades = ImageOps.colorize(glyph.convert("L"), "black", "white", mid=DYES[dye])
    shades.putalpha(glyph.getchannel("A"))
    return shades


def _background(colour: str, texture: str, side: int) -> PIL.Image:
    base = np.array(COLOURS[colour], dtype=np.float32)
    other = base * 0.9
    step = max(1, round(STRIPE * side / 64))
    rows, columns = np.mgrid[:side, :side] // step
    shade = {"plain": rows * 0, "striped": rows % 2, "checked": (rows + columns) % 2}[texture]
    pixels = np.where(shade[..., None] == 1, other, base).clip(0, 255).astype(np.uint8)
    return PIL.fromarray(pixels).convert("RGBA")
