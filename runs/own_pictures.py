"""README's second picture: drawings of one's own in a folder, and what the shipped system makes of
them: .venv/bin/python runs/own_pictures.py [folder]."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image as PIL
from PIL import ImageDraw

from racm3 import RACM3
from racm3.data.sources import Tolerance, read_source
from racm3.document import Image
from racm3.evaluation.shown import Shown, sheet, strip
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.memory import MemoryStore
from racm3.runtime import write_whole

# Shapes as Pillow's pen knows them, on 256 pixels of white.
OWN = {
    "the zorbtech logo": [
        ("ellipse", (40, 40, 216, 216), "purple"),
        ("rectangle", (110, 40, 146, 216), "yellow"),
    ],
    "the Quillo badge": [
        ("polygon", (128, 20, 236, 220, 20, 220), "red"),
        ("ellipse", (98, 120, 158, 180), "white"),
    ],
    "my cat Mimi": [
        ("ellipse", (50, 80, 206, 220), "gray"),
        ("polygon", (60, 110, 70, 30, 120, 90), "gray"),
        ("polygon", (196, 110, 186, 30, 136, 90), "gray"),
        ("ellipse", (85, 125, 115, 155), "green"),
        ("ellipse", (141, 125, 171, 155), "green"),
    ],
    "the Harbour company flag": [
        ("rectangle", (0, 40, 256, 220), "teal"),
        ("rectangle", (0, 100, 256, 160), "orange"),
    ],
}
ASKED = (
    "the zorbtech logo on a blue background",
    "the small Quillo badge at the left on a yellow background",
    "my cat Mimi on a pink background",
    "the Harbour company flag with the Quillo badge",
)
# And on another colour, to be told what it is.
DESCRIBED = {"the zorbtech logo": "lightgreen", "my cat Mimi": "khaki"}
NOTE = "one picture each, no training"


def main(folder: Path) -> None:
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        pictures = place / "pictures"
        draw_own(pictures)
        system = RACM3.open("sample", device="cpu")
        known = system.encoder
        memory = MemoryStore.create(
            place / "mine", encoder=known.name, dim=known.dim, sides=known.sides
        )
        fill_memory(memory, read_source(pictures, Tolerance()), system.encoder)
        mine = system.remembering(memory)
        lines = [drawn(mine, caption) for caption in ASKED]
        lines += [described(mine, name, colour) for name, colour in DESCRIBED.items()]
    write_whole(folder / "own-pictures.png", sheet(map(strip, lines)).png())
    print(folder / "own-pictures.png")


def draw_own(folder: Path) -> None:
    """One picture each, with its name beside it, as anyone has them."""
    folder.mkdir()
    for number, name in enumerate(OWN):
        canvas(name, "white").save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(name)


def canvas(name: str, background: str) -> PIL.Image:
    drawn = PIL.new("RGB", (256, 256), background)
    for shape, corners, colour in OWN[name]:
        getattr(ImageDraw.Draw(drawn), shape)(corners, fill=colour)
    return drawn


def drawn(system: RACM3, caption: str) -> Shown:
    drawing, plain = system.draw(caption), system.without_retrieval.draw(caption)
    return Shown(caption, NOTE, drawing.consulted, None, drawing.image, plain.image)


def described(system: RACM3, name: str, background: str) -> Shown:
    picture = Image.of(canvas(name, background))
    said, plain = system.caption(picture), system.without_retrieval.caption(picture)
    return Shown("(what is this?)", NOTE, said.consulted, picture, said.text, plain.text)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/results"))
