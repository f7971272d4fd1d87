"""What the rest of a picture says of a part that is redrawn: how large, where, and on what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from racm3.document import Image
from racm3.errors import require_pattern
from racm3.retrieval.query import ALIKE, alone

# A part is small where a side of its box has no more than this share of the picture's, and its
# edge is the ground for the most part: else it goes through a large thing.
SMALL, CLEAR = 0.75, 0.5
# A ground is what this share of the rest has, as nearly as `ALIKE` says.
MOSTLY = 0.4
# Where things fill three quarters of a picture and stand at the part's edge, too.
BETWEEN, TOUCHED = 0.15, 0.3
# Of several things each has a half of the sides for itself; a part is one's where their middles are
# no further apart than this, and nothing stands where less of the place than that is no ground.
PLACE, NEAR, SOME = 0.5, 0.13, 0.02


class Part(NamedTuple):
    """What is redrawn of a picture: its box, in shares of the sides, the pixels of the rest, those
    of them that touch it, and where all of them are."""

    width: float
    height: float
    middle: tuple[float, float]
    rest: UInt8[np.ndarray, "pixels 3"]
    edge: UInt8[np.ndarray, "some 3"]
    picture: Image
    mask: Bool[np.ndarray, "height width"]

    @classmethod
    def of(cls, picture: Image, mask: Bool[np.ndarray, "height width"]) -> "Part":
        from scipy.ndimage import binary_dilation

        (left, right), (top, bottom) = (
            np.flatnonzero(mask.any(axis=axis))[[0, -1]] / mask.shape[1 - axis] for axis in (0, 1)
        )
        width, height = right - left + 1 / mask.shape[1], bottom - top + 1 / mask.shape[0]
        middle = (left + width / 2, top + height / 2)
        edge = binary_dilation(mask, np.ones((3, 3))) & ~mask
        rest, edge = picture.pixels[~mask], picture.pixels[edge]
        return cls(width, height, middle, rest, edge, picture, mask)


class Others(NamedTuple):
    """What stands beside a part: how all of it is said, which of it the part is, and what is seen
    in the other places, each by itself in the middle of the ground."""

    said: str
    own: int
    seen: list[Image]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    r"""How a system's generators were taught to say what is seen around a part that is redrawn.

    Args:
        grounds: By what is said of a ground its red, green and blue: `on a blue background` is
            (140, 190, 240). Where the rest has none of them nothing is said at all.
        places: By what is said of a place where it is, in shares of the width and the height: `at
            the left` is (0.25, 0.5). The nearest one is said of a small part.
        layouts: By how several things are said where they stand, in shares of the width and the
            height: `{} left of {}` is ((0.25, 0.5), (0.75, 0.5)).
        nouns: By a regular expression of a document's name what is said there of its thing: of
            `(flag of .+)` it is `the \1`. A name that has none is said itself.
        sure: What scores less is not taken for what stands there.
        small: By a regular expression of all that is said, what is read of it in a small part: `an?
            (?P<rest>.+)` is `a small \g<rest>`.
        unless: A regular expression of a text that says all this itself.

    Raises:
        ConfigError: A pattern is no regular expression.
    """

    grounds: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    layouts: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    nouns: Mapping[str, str] = field(default_factory=dict)
    sure: float = 0.0
    small: Mapping[str, str] = field(default_factory=dict)
    unless: str = ""

    def __post_init__(self) -> None:
        for pattern in (*self.small, *self.nouns, self.unless):
            require_pattern("surroundings", pattern)

    @classmethod
    def of_json(cls, about: Mapping[str, Any]) -> "Surroundings":
        """JSON has lists where these have tuples."""
        numbers = ("grounds", "places")
        given = {
            one: {said: tuple(at) for said, at in about.get(one, {}).items()} for one in numbers
        }
        some = about.get("layouts", {}).items()
        layouts = {said: tuple(tuple(at) for at in every) for said, every in some}
        return cls(**{**about, **given, "layouts": layouts})

    def said(self, text: str, part: Part) -> str:
        """A text that asks for the one thing of a part, with what is seen around it."""
        ground = self.ground(part)
        if not ground or (self.unless and re.search(self.unless, text)):
            return text
        if not self._small(part, ground):
            return f"{text} {ground}"
        for pattern, instead in self.small.items():
            if found := re.fullmatch(pattern, text):
                text = found.expand(instead)
                break
        place = "" if any(one and one in text for one in self.places) else self.place(part)
        return " ".join(filter(None, (text, place, ground)))

    def _small(self, part: Part, ground: str) -> bool:
        clear = _share(part.edge, self.grounds[ground])
        return bool(min(part.width, part.height) <= SMALL and clear >= CLEAR)

    def others(self, text: str, part: Part) -> list[Others]:
        """In which ways a part is one of several things; in none where a text says where it is."""
        ground, found = self.ground(part, BETWEEN), list[Others]()
        told = self.unless and re.search(self.unless, text)
        large = min(part.width, part.height) > SMALL
        if not ground or told or large or any(one and one in text for one in self.places):
            return found
        clear = _share(part.edge, self.grounds[ground])
        for said, middles in self.layouts.items():
            if clear < (CLEAR if len(middles) == 2 else TOUCHED):
                continue
            apart = [float(np.abs(np.subtract(at, part.middle)).max()) for at in middles]
            own = int(np.argmin(apart))
            if apart[own] <= NEAR:
                others = [at for place, at in enumerate(middles) if place != own]
                seen = [_alone(part, at, self.grounds[ground]) for at in others]
                if all(_stands(one, self.grounds[ground]) for one in seen):
                    found.append(Others(f"{said} {ground}", own, seen))
        return found

    def place(self, part: Part) -> str:
        """What is said of where a part is; "" where no place is known."""
        apart = {one: np.subtract(part.middle, at) for one, at in self.places.items()}
        return min(apart, key=lambda one: float(np.square(apart[one]).sum()), default="")

    def noun(self, name: str) -> str:
        """What is said of the thing that a document is named after."""
        found = ((re.fullmatch(one, name), said) for one, said in self.nouns.items())
        return next((it.expand(said) for it, said in found if it), name)

    def ground(self, part: Part, mostly: float = MOSTLY) -> str:
        """What is said of the ground that the rest mostly has; "" where it has none of them."""
        shares = {one: _share(part.rest, colour) for one, colour in self.grounds.items()}
        best = max(shares, key=lambda one: shares[one], default="")
        return best if shares.get(best, 0.0) >= mostly else ""


def _alone(part: Part, middle: tuple[float, float], ground: tuple[int, int, int]) -> Image:
    """What a picture shows at a place, in the middle of the ground."""
    colour = np.array(ground, np.uint8)
    pixels = np.where(part.mask[..., None], colour, part.picture.pixels)
    return alone(pixels, middle, colour)


def _stands(alone: Image, ground: tuple[int, int, int]) -> bool:
    return 1 - _share(alone.pixels.reshape(-1, 3), ground) >= SOME * PLACE**2


def _share(pixels: UInt8[np.ndarray, "some 3"], colour: tuple[int, int, int]) -> float:
    """How many of some pixels have nearly this colour; of none, none."""
    if not len(pixels):
        return 0.0
    return float((np.abs(pixels.astype(int) - colour) <= ALIKE).all(axis=1).mean())
