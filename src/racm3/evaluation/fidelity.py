"""Held-out fidelity: is the picture that was drawn nearer to the right thing than to any other?

The judge never saw a network: it renders the very same scene with every thing of the pack and
compares pixels (after a 2x2 mean) where the thing should stand.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float32
from PIL import Image as PIL

from racm3.data.sample_world.scenes import SIZES, TILT, Scene, dyed
from racm3.data.sample_world.things import Thing, things
from racm3.document import Image

NAME = "pixels-2x2"


class Glyphs(NamedTuple):
    """Every one of some things after the 2x2 mean: its colour times its opacity, and that alone."""

    colour: Float32[np.ndarray, "things half half 3"]
    opacity: Float32[np.ndarray, "things half half 1"]


@cache
def glyphs(among: tuple[Thing, ...], pixels: int, tilted: bool, dye: str) -> Glyphs:
    """Some things at one size, all of them dyed alike; opacity in [0, 1]."""
    colours, opacities = [], []
    for thing in among:
        glyph = dyed(thing.drawn(pixels), dye)
        if tilted:
            glyph = glyph.rotate(TILT, PIL.Resampling.BICUBIC)
        rgba = np.asarray(glyph, dtype=np.float32)
        opacity = rgba[..., 3:] / 255
        colours.append(_halved(rgba[..., :3] * opacity))
        opacities.append(_halved(opacity))
    return Glyphs(np.stack(colours), np.stack(opacities))


def nearest_things(
    picture: Image,
    scene: Scene,
    *,
    part: Bool[np.ndarray, "height width"] | None = None,
    among: tuple[Thing, ...] = (),
) -> list[int]:
    """For every place of the scene, the row of the thing that the picture is nearest to.

    The picture is square, its side a multiple of 16: so no square of 2x2 pixels has two shades of
    the ground in it, and the ground can be halved by itself. `part` restricts the comparison to
    some pixels, such as those that were infilled. The things are those of the pack, or others where
    these are given.
    """
    side = picture.width
    pixels = round(SIZES[scene.size] * side / 64)
    ground, drawn = (
        _halved(one.pixels.astype(np.float32)) for one in (scene.background(side), picture)
    )
    found = []
    for (_, dye), (left, top) in zip(scene.looks, scene.corners(side), strict=True):
        every = glyphs(among or things(), pixels, scene.tilted, dye)
        here = slice(top // 2, (top + pixels) // 2), slice(left // 2, (left + pixels) // 2)
        rendered = every.colour + ground[here] * (1 - every.opacity)
        apart = np.square(rendered - drawn[here]).sum(axis=3)
        if part is not None:
            apart = apart * part[::2, ::2][here]
        found.append(int(apart.sum(axis=(1, 2)).argmin()))
    return found


def emptied(picture: Image, scene: Scene) -> bool:
    """Whether the place of the scene's only thing is nearer to the bare ground than to any thing.

    Of `picture` and what is rendered, as in `nearest_things`, the 2x2 mean is compared.
    """
    place = thing_box(scene, picture.width)[::2, ::2]
    ground, drawn = (
        _halved(one.pixels.astype(np.float32)) for one in (scene.background(picture.width), picture)
    )
    nearest = nearest_things(picture, scene)
    shown = scene.showing(*(things()[row] for row in nearest)).draw(picture.width)
    thing = _halved(shown.pixels.astype(np.float32))
    bare, other = (np.square(one - drawn)[place].sum() for one in (ground, thing))
    return bool(bare < other)


def thing_box(scene: Scene, side: int, which: int = 0) -> Bool[np.ndarray, "side side"]:
    """The square that one of the scene's things stands in, in pixels."""
    pixels, box = round(SIZES[scene.size] * side / 64), np.zeros((side, side), dtype=bool)
    left, top = scene.corners(side)[which]
    box[top : top + pixels, left : left + pixels] = True
    return box


def _halved(
    pixels: Float32[np.ndarray, "height width channels"],
) -> Float32[np.ndarray, "height/2 width/2 channels"]:
    return reduce(pixels, "(h two) (w also) c -> h w c", "mean", two=2, also=2)


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
