"""Whether a drawing obeys its caption's background, size, side and dye, and a caption its picture's
dye."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from racm3.data.sample_world.scenes import COLOURS, DYES, PLACES, SIZES, Scene
from racm3.document import Image

FAR = 40.0


class Attributes(NamedTuple):
    background: bool
    size: bool
    side: bool
    dye: bool


def obeyed(picture: Image, scene: Scene) -> Attributes:
    """Of a scene of one thing; the thing is what differs clearly from the background asked for."""
    ground, found = background(picture, scene) == scene.colour, box(picture, scene)
    return Attributes(ground, *_where(found, scene), dye(picture, scene) == scene.dye)


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


def dye(picture: Image, scene: Scene) -> str:
    """The dye with which the scene is most like the picture; none is one of them."""
    drawn = picture.pixels.astype(np.float32)

    def apart(one: str) -> float:
        rendered = replace(scene, dye=one).draw(picture.width).pixels
        return float(np.square(rendered - drawn).sum())

    return min(("", *DYES), key=apart)


def says_dye(text: str, scene: Scene) -> bool:
    """Whether a caption calls the thing dyed as it is, or not at all where it is not."""
    return f" dyed {scene.dye}" in text if scene.dye else " dyed " not in text


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
