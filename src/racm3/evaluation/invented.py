"""Things that nobody has seen: drawn by dice, named by dice, put into a memory and taken out."""

import numpy as np
from jaxtyping import Float32
from PIL import Image as PIL
from PIL import ImageDraw

from racm3.data.sample_world.things import Thing
from racm3.document import Document, Image
from racm3.errors import ConfigError
from racm3.retrieval.embedding import embed_memory
from racm3.retrieval.shelf import ListShelf, joined
from racm3.runtime import dice
from racm3.system import RACM3

SYLLABLES = ("blor", "zin", "quav", "mip", "throx", "dul", "fen", "gost", "wub", "yal", "kree")
MOST = 5 * len(SYLLABLES) * (len(SYLLABLES) - 1)
SIDE, SCALE = 64, 4


def invented_things(count: int, *, seed: int = 0) -> list[Thing]:
    """Bold shapes in a few colours under names that are no words, another one for each.

    Raises:
        ConfigError: There are more things than names.
    """
    if count > MOST:
        raise ConfigError(f"{count} invented things are more than the {MOST} that have names")
    found: dict[str, Thing] = {}
    for number in range(count):
        rng, name = dice(seed, 91, number), ""
        while not name or name in found:
            name = "".join(rng.choice(SYLLABLES, 2, replace=False)) + f"{'aeiou'[number % 5]}"
        found[name] = Thing(name, (), "invented", True, _shape(rng))
    return list(found.values())


def _shape(rng: np.random.Generator) -> np.ndarray:
    """A body, two bands and a spot, each of a colour of its own."""
    wide = SIDE * SCALE
    canvas = PIL.new("RGBA", (wide, wide), (255, 255, 255, 0))
    draw = ImageDraw.Draw(canvas)
    colours = [tuple(rng.integers(0, 230, 3).tolist()) for _ in range(4)]
    margin = wide // 10
    frame = (margin, margin, wide - margin, wide - margin)
    if rng.random() < 0.5:
        draw.ellipse(frame, fill=colours[0])
    else:
        draw.rounded_rectangle(frame, radius=wide // 8, fill=colours[0])
    for colour in colours[1:3]:
        a, b = sorted(rng.uniform(0.2, 0.8, 2))
        if rng.random() < 0.5:
            draw.rectangle((a * wide, 2 * margin, b * wide, wide - 2 * margin), fill=colour)
        else:
            draw.rectangle((2 * margin, a * wide, wide - 2 * margin, b * wide), fill=colour)
    x, y = rng.uniform(0.3, 0.7, 2) * wide
    radius = wide * rng.uniform(0.1, 0.2)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[3])
    return np.array(canvas.resize((SIDE, SIDE), PIL.Resampling.LANCZOS))


def taught(system: RACM3, documents: list[Document]) -> RACM3:
    """The same system with some documents more in its memory; nothing is trained."""
    parts = system.parts
    known = joined(parts.shelf.blocks(), parts.encoder.dim)
    vectors = np.concatenate([known.vectors, embed_memory(parts.encoder, documents)])
    everything = parts.shelf.documents(known.ids.tolist()) + documents
    return system.remembering(ListShelf(everything, vectors))


def recognised(picture: Image, among: list[Image]) -> int:
    """Which of some pictures a drawing is nearest to, by pixels after a 4 x 4 mean."""

    def small(one: Image) -> Float32[np.ndarray, "side side 3"]:
        shrunk = one.pil().resize((one.width // 4, one.height // 4), PIL.Resampling.BOX)
        return np.asarray(shrunk, dtype=np.float32)

    mine = small(picture)
    return int(np.argmin([np.square(small(one) - mine).sum() for one in among]))
