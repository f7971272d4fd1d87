"""The things of the sample world: pictures with names, some of them never shown in training."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import UInt8
from PIL import Image as PIL

from racm3.document import Document, Image

# In pixels of a picture of 64. Every place of a scene is a multiple of a quarter of the picture, so
# that a thing keeps its cells wherever it stands.
SIZES = {"large": 64, "small": 32}
# The same as shares of the picture: how the memory shows every thing.
SHOWN = tuple(pixels / max(SIZES.values()) for pixels in SIZES.values())


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A picture with a name; `held_out` things are only ever met in the memory, at inference."""

    name: str
    keywords: tuple[str, ...]
    group: str
    held_out: bool
    rgba: UInt8[np.ndarray, "side side 4"]

    @property
    def noun(self) -> str:
        """The name with its article, as captions say it."""
        if self.name.startswith("flag of"):
            return f"the {self.name}"
        spelt = self.name.lower()
        vowel = spelt.startswith(tuple("aeiou")) and not spelt.startswith(("one", "uni", "eu"))
        return f"{'an' if vowel else 'a'} {self.name}"

    @property
    def text(self) -> str:
        """What the memory says of the thing: its name and a few keywords."""
        words = [word for word in self.keywords if word not in self.name][:2]
        return f"{self.name} ({', '.join(words)})" if words else self.name

    @property
    def unsaid(self) -> list[str]:
        """Keywords that the memory lists beside it, but neither its name nor its text says."""
        return [word for word in self.keywords if word not in self.text]

    @property
    def metadata(self) -> dict[str, str]:
        """What the memory lists beside it."""
        return {"keywords": ", ".join(self.keywords)}

    def document(self) -> Document:
        """How the memory shows the thing: its text, and its picture on white, large and small, as a
        catalogue would. A scene can have it in either size."""
        return Document.of(self.text, *(self.on_white(pixels) for pixels in SIZES.values()))

    def on_white(self, pixels: int) -> Image:
        """The picture so large in the middle of white."""
        side = len(self.rgba)
        canvas = PIL.new("RGBA", (side, side), (255, 255, 255, 255))
        left = (side - pixels) // 2
        canvas.alpha_composite(self.drawn(pixels), (left, left))
        return Image.of(canvas)

    def drawn(self, pixels: int) -> PIL.Image:
        whole = PIL.fromarray(self.rgba)
        return whole.resize((pixels, pixels), PIL.Resampling.LANCZOS)


@cache
def things() -> tuple[Thing, ...]:
    """Every thing of the pack that ships with the package, in the order of the pack."""
    folder = files("racm3.assets") / "sample"
    pack = json.loads((folder / "things.json").read_text(encoding="utf-8"))
    side, columns = pack["side"], pack["columns"]
    with (folder / "things.webp").open("rb") as stream:
        atlas = np.array(PIL.open(stream).convert("RGBA"))
    found = []
    for position, entry in enumerate(pack["things"]):
        row, column = divmod(position, columns)
        tile = atlas[row * side : (row + 1) * side, column * side : (column + 1) * side]
        keywords = tuple(entry["keywords"])
        found.append(Thing(entry["name"], keywords, entry["group"], entry["held_out"], tile))
    return tuple(found)


def seen_things() -> tuple[Thing, ...]:
    return tuple(thing for thing in things() if not thing.held_out)


def held_out_things() -> tuple[Thing, ...]:
    return tuple(thing for thing in things() if thing.held_out)
