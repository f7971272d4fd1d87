"""What people look at: a question, what was read, and two answers, line by line on a sheet."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image as PIL
from PIL import ImageDraw, ImageFont

from racm3.document import Image
from racm3.system import Consulted

TILE, GAP, TEXT_WIDTH, HEAD = 128, 8, 280, 30
WIDTH = TEXT_WIDTH + 4 * (TILE + GAP) + GAP


@dataclass(frozen=True, slots=True)
class Shown:
    """What was asked, what was read, and both answers: a line to look at."""

    title: str
    note: str
    consulted: tuple[Consulted, ...]
    given: Image | None
    racm3: Image | str
    cm3: Image | str


def sheet(strips: Iterable[Image]) -> Image:
    """Lines as one picture, under what stands in each column."""
    some = list(strips)
    canvas = PIL.new("RGB", (WIDTH, HEAD + sum(one.height for one in some)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
    for column, head in enumerate(("consulted", "consulted", "RA-CM3", "CM3")):
        pen.text((_left(column), 6), head, "black", font)
    top = HEAD
    for one in some:
        canvas.paste(one.pil(), (0, top))
        top += one.height
    return Image.of(canvas)


def strip(line: Shown) -> Image:
    """A line as a picture: prompt, up to four sources, RA-CM3, CM3."""
    canvas = PIL.new("RGB", (WIDTH, TILE + GAP), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
    words = _wrapped(f"{line.title} [{line.note}]", 24 if line.given else 34)
    pen.multiline_text((GAP, 4), words, "black", font)
    if line.given:
        canvas.paste(line.given.pil().resize((64, 64)), (TEXT_WIDTH - 64 - GAP, 0))
    sources = [one.document.images[0] for one in line.consulted if one.document.images]
    side = TILE if len(sources) < 3 else TILE // 2
    for place, source in enumerate(sources[:4]):
        _paste(canvas, source, place % 2, side * (place // 2), side)
    for column, result in ((2, line.racm3), (3, line.cm3)):
        if isinstance(result, Image):
            _paste(canvas, result, column)
        else:
            pen.multiline_text((_left(column), 4), _wrapped(result, 16), "black", font)
    return Image.of(canvas)


def _left(column: int) -> int:
    return TEXT_WIDTH + column * (TILE + GAP)


def _paste(canvas: PIL.Image, image: Image, column: int, top: int = 0, side: int = TILE) -> None:
    tile = image.pil().resize((side, side), PIL.Resampling.NEAREST)
    canvas.paste(tile, (_left(column), top))


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
