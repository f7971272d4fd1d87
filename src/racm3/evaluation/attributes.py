"""Whether a drawing obeys its caption's background, size, side and dye, and a caption its picture's
dye."""

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from racm3.data.sample_world.scenes import COLOURS, DYES, NUMBERS, PLACES, SIZES, Scene
from racm3.document import Image
from racm3.evaluation.fidelity import thing_box

FAR = 40.0


class Attributes(NamedTuple):
    background: bool
    size: bool
    side: bool
    dye: bool


def obeyed(picture: Image, scene: Scene) -> Attributes:
    """Of a scene of one thing; the thing is what differs clearly from the background asked for."""
    ground, found = background(picture, scene) == scene.colour, box(picture, scene)
    return Attributes(ground, *_where(found, scene), in_its_dyes(picture, scene))


def background(picture: Image, scene: Scene) -> str:
    """The named colour that most of the picture is nearest to, where no thing should stand."""
    side = picture.width
    free = np.ones((side, side), dtype=bool)
    if scene.size == "large":  # It fills the picture: only the corners are left.
        corner = 4
        free[corner:-corner] = free[:, corner:-corner] = False
    else:
        pixels = round(SIZES[scene.size] * side / 64)
        for left, top in scene.corners(side):
            free[top : top + pixels, left : left + pixels] = False
    names, palette = list(COLOURS), np.array(list(COLOURS.values()), dtype=np.float32)
    seen = picture.pixels[free].astype(np.float32)
    nearest = np.square(seen[:, None] - palette[None]).sum(axis=2).argmin(axis=1)
    return names[int(np.bincount(nearest, minlength=len(names)).argmax())]


def in_its_dyes(picture: Image, scene: Scene) -> bool:
    """Whether every thing has the dye asked for, or its own colour."""
    return dyes(picture, scene) == [dye for _, dye in scene.looks]


def dyes(picture: Image, scene: Scene) -> list[str]:
    """For every place of the scene, the dye with which what should stand there is most like the
    picture; none is one of them."""
    drawn, every = picture.pixels.astype(np.float32), ("", *DYES)
    rendered = [
        replace(scene, dyes=(one,) * len(scene.things)).draw(picture.width).pixels for one in every
    ]
    apart = np.square(np.stack(rendered) - drawn).sum(axis=3)
    return [
        every[apart[:, thing_box(scene, picture.width, which)].sum(axis=1).argmin()]
        for which in range(len(scene.things))
    ]


def says_dye(text: str, scene: Scene) -> bool:
    """Whether a caption calls the only thing dyed as it is, or not at all where it is not."""
    return " dyed " not in text if not any(scene.dyes) else f" dyed {scene.dyes[0]}" in text


def says_number(text: str, scene: Scene) -> bool:
    """Whether a caption says of the only thing how often it is there, and of others nothing."""
    alike, many = len({*scene.looks}) == 1, len(scene.things)
    said = {
        number for number, word in NUMBERS.items() if re.search(rf"\b{word} of (?:an?|the) ", text)
    }
    return said == ({many} if alike and many > 1 else set())


def box(picture: Image, scene: Scene) -> Bool[np.ndarray, "height width"]:
    """Where the picture differs clearly from the empty scene."""
    empty = scene.background(picture.width).pixels.astype(np.float32)
    return np.abs(picture.pixels.astype(np.float32) - empty).max(axis=2) > FAR


def _where(found: Bool[np.ndarray, "height width"], scene: Scene) -> tuple[bool, bool]:
    """Size by the longer extent of what was found, side by the nearest of the known centres."""
    side = found.shape[0]
    rows, columns = (np.flatnonzero(found.sum(axis=axis) > 1) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return False, False
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    size = "small" if extent <= side * 0.65 else "large"
    if size == "large":
        return size == scene.size, scene.place == "centre"
    pixels = round(SIZES[size] * side / 64)
    centre = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2
    middles = {name: (np.array(at) * (side - pixels) + pixels / 2) for name, at in PLACES.items()}
    nearest = min(middles, key=lambda name: float(np.square(middles[name] - centre).sum()))
    return size == scene.size, nearest == scene.place
