"""What the rest of a picture says of a part that is redrawn: how large, where, and on what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from racm3.document import Image
from racm3.errors import require_pattern

# A part is small where a side of its box has no more than this share of the picture's, and its
# edge is the ground for the most part: else it goes through a large thing.
SMALL, CLEAR = 0.75, 0.5
# A ground is what this share of the rest has, no channel of a pixel further than so many of 255.
MOSTLY, ALIKE = 0.4, 26


class Part(NamedTuple):
    """What is redrawn of a picture: its box, in shares of the sides, the pixels of the rest, and
    those of them that touch it."""

    width: float
    height: float
    middle: tuple[float, float]
    rest: UInt8[np.ndarray, "pixels 3"]
    edge: UInt8[np.ndarray, "some 3"]

    @classmethod
    def of(cls, picture: Image, mask: Bool[np.ndarray, "height width"]) -> "Part":
        from scipy.ndimage import binary_dilation

        (left, right), (top, bottom) = (
            np.flatnonzero(mask.any(axis=axis))[[0, -1]] / mask.shape[1 - axis] for axis in (0, 1)
        )
        width, height = right - left + 1 / mask.shape[1], bottom - top + 1 / mask.shape[0]
        middle = (left + width / 2, top + height / 2)
        edge = binary_dilation(mask, np.ones((3, 3))) & ~mask
        return cls(width, height, middle, picture.pixels[~mask], picture.pixels[edge])


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    r"""How a system's generators were taught to say what is seen around a part that is redrawn.

    Args:
        grounds: By what is said of a ground its red, green and blue: `on a blue background` is
            (140, 190, 240). Where the rest has none of them nothing is said at all.
        places: By what is said of a place where it is, in shares of the width and the height: `at
            the left` is (0.25, 0.5). The nearest one is said of a small part.
        small: By a regular expression of all that is said, what is read of it in a small part: `an?
            (?P<rest>.+)` is `a small \g<rest>`.
        unless: A regular expression of a text that says all this itself.

    Raises:
        ConfigError: A pattern is no regular expression.
    """

    grounds: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    small: Mapping[str, str] = field(default_factory=dict)
    unless: str = ""

    def __post_init__(self) -> None:
        for pattern in (*self.small, self.unless):
            require_pattern("surroundings", pattern)

    @classmethod
    def of_json(cls, about: Mapping[str, Any]) -> "Surroundings":
        """JSON has lists where these have tuples."""
        numbers = ("grounds", "places")
        given = {
            one: {said: tuple(at) for said, at in about.get(one, {}).items()} for one in numbers
        }
        return cls(**{**about, **given})

    def said(self, text: str, part: Part) -> str:
        """A text that asks for the one thing of a part, with what is seen around it."""
        ground = self.ground(part)
        if not ground or (self.unless and re.search(self.unless, text)):
            return text
        clear = _share(part.edge, self.grounds[ground])
        if min(part.width, part.height) > SMALL or clear < CLEAR:
            return f"{text} {ground}"
        for pattern, instead in self.small.items():
            if found := re.fullmatch(pattern, text):
                text = found.expand(instead)
                break
        place = "" if any(one and one in text for one in self.places) else self.place(part)
        return " ".join(filter(None, (text, place, ground)))

    def place(self, part: Part) -> str:
        """What is said of where a part is; "" where no place is known."""
        apart = {one: np.subtract(part.middle, at) for one, at in self.places.items()}
        return min(apart, key=lambda one: float(np.square(apart[one]).sum()), default="")

    def ground(self, part: Part) -> str:
        """What is said of the ground that the rest mostly has; "" where it has none of them."""
        shares = {one: _share(part.rest, colour) for one, colour in self.grounds.items()}
        best = max(shares, key=lambda one: shares[one], default="")
        return best if shares.get(best, 0.0) >= MOSTLY else ""


def _share(pixels: UInt8[np.ndarray, "some 3"], colour: tuple[int, int, int]) -> float:
    """How many of some pixels have nearly this colour; of none, none."""
    if not len(pixels):
        return 0.0
    return float((np.abs(pixels.astype(int) - colour) <= ALIKE).all(axis=1).mean())
