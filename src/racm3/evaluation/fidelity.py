"""Held-out fidelity: is the picture that was drawn nearer to the right thing than to any other?

The judge never saw a network: it renders the very same scene with every thing of the pack and
compares pixels (after a 2x2 mean) where the thing should stand.
"""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image as PIL

from racm3.data.sample_world.scenes import SIZES, TILT, Scene, dyed
from racm3.data.sample_world.things import Thing, things
from racm3.document import Image

NAME = "pixels-2x2"


@cache
def glyphs(
    among: tuple[Thing, ...], pixels: int, tilted: bool, dye: str
) -> Float32[np.ndarray, "things side side 4"]:
    """Every one of some things at one size and dyed alike, alpha in [0, 1]."""
    found = []
    for thing in among:
        glyph = dyed(thing.drawn(pixels), dye)
        if tilted:
            glyph = glyph.rotate(TILT, PIL.Resampling.BICUBIC)
        found.append(np.asarray(glyph, dtype=np.float32))
    stacked = np.stack(found)
    stacked[..., 3] /= 255
    return stacked


def nearest_things(
    picture: Image,
    scene: Scene,
    *,
    part: Bool[np.ndarray, "height width"] | None = None,
    among: tuple[Thing, ...] = (),
) -> list[int]:
    """For every place of the scene, the row of the thing that the picture is nearest to.

    `part` restricts the comparison to some pixels, such as those that were infilled. The things
    are those of the pack, or others where these are given.
    """
    side, pixels = picture.width, SIZES[scene.size]
    ground = scene.background(side).pixels.astype(np.float32)
    every = glyphs(among or things(), pixels, scene.tilted, scene.dye)
    found = []
    for left, top in scene.corners(side):
        rows, columns = slice(top, top + pixels), slice(left, left + pixels)
        behind = ground[rows, columns]
        alpha = every[..., 3:]
        rendered = _halved(behind * (1 - alpha) + every[..., :3] * alpha)
        drawn = _halved(picture.pixels[rows, columns].astype(np.float32)[None])
        apart = np.square(rendered - drawn).sum(axis=3)
        if part is not None:
            apart = apart * part[rows, columns][::2, ::2]
        found.append(int(apart.sum(axis=(1, 2)).argmin()))
    return found


def _halved(
    pixels: Float32[np.ndarray, "batch side side 3"],
) -> Float32[np.ndarray, "batch half half 3"]:
    return pixels.reshape(len(pixels), pixels.shape[1] // 2, 2, -1, 2, 3).mean(axis=(2, 4))


def faithful(
    picture: Image,
    scene: Scene,
    *,
    part: Bool[np.ndarray, "height width"] | None = None,
    among: tuple[Thing, ...] = (),
) -> bool:
    """Whether every thing of the scene is recognised at its place."""
    return nearest_things(picture, scene, part=part, among=among) == rows_of(scene, among)


def rows_of(scene: Scene, among: tuple[Thing, ...] = ()) -> list[int]:
    """The rows of the things that the scene shows."""
    rows = {thing: row for row, thing in enumerate(among or things())}
    return [rows[thing] for thing in scene.things]
