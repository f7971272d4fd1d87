"""Pictures, provenance and links in the form that the page's components take."""

import html
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import numpy as np
from PIL import Image as PIL

from racm3.document import Image
from racm3.errors import GenerationError
from racm3.system import Consulted, Settings
from racm3.system.influence import Influence
from racm3.system.results import Answer, Drawing, picture_html, save_png

SHOWN = 256
Tile = tuple[PIL.Image, str]


def large(picture: Image, *, side: int = SHOWN) -> PIL.Image:
    """Enlarged without smoothing, so that what the model drew is what is seen."""
    times = max(1, side // max(picture.width, picture.height))
    size = (picture.width * times, picture.height * times)
    return picture.pil().resize(size, PIL.Resampling.NEAREST)


def opened(pixels: np.ndarray | None, what: str = "a picture") -> Image:
    if pixels is None:
        raise GenerationError(f"{what} is missing: drop one first")
    return Image.of(PIL.fromarray(pixels))


def tiles(pictures: Sequence[Image], notes: Sequence[str] = ()) -> list[Tile]:
    words = [*notes, *[""] * (len(pictures) - len(notes))]
    return [(large(picture), note) for picture, note in zip(pictures, words, strict=True)]


def sources(consulted: Sequence[Consulted]) -> list[Tile]:
    """Every consulted picture with its document's words and score."""
    found = []
    for number, one in enumerate(consulted, start=1):
        found += [(large(image), f"{number}. {one.told}") for image in one.document.images]
    return found


def heat(drawing: Drawing, influences: Sequence[Influence]) -> list[Tile]:
    """A map for each document, all on one scale."""
    strongest = max((float(np.abs(one.cells).max()) for one in influences if one.cells is not None),
                    default=1.0)  # fmt: skip
    return [
        (
            large(one.heat(drawing.image, strongest=strongest)),
            f"{number}. {one.consulted.title}: {one.total:+.1f} nats",
        )
        for number, one in enumerate(influences, start=1)
    ]


def words(influences: Sequence[Influence]) -> list[list[tuple[str, float]]]:
    """Every document's words with their nats, between -1 and 1."""
    strongest = max((abs(v) for one in influences for _, v in one.words), default=1.0) or 1.0
    return [[(word, value / strongest) for word, value in one.words] for one in influences]


def settings(base: Settings, seed: float, candidates: float, temperature: float, weight: float,
             documents: str | None = None) -> Settings:  # fmt: skip
    return replace(
        base,
        seed=int(seed),
        candidates=int(candidates),
        documents=base.documents if documents is None else count(documents),
        sampling=replace(base.sampling, temperature=float(temperature)),
        guidance=replace(base.guidance, weight=float(weight)),
    )


def count(said: str) -> int | Literal["each"]:
    return "each" if said == "each" else int(said)


def weighed(base: Settings, weights: Sequence[float], count: int) -> Settings:
    """With a weight for each of the first documents, where any of them is not 1."""
    chosen = tuple(float(one) for one in weights[:count])
    if all(one == 1 for one in chosen) or count > base.at_once:
        return base
    return replace(base, guidance=replace(base.guidance, documents=chosen))


def link(tab: str, answer: Answer, **more: Any) -> str:
    """The page's own address of this answer: prompt, seed, settings and snapshot."""
    values = {
        "tab": tab,
        "prompt": answer.prompt,
        "seed": answer.settings.seed,
        "candidates": answer.settings.candidates,
        "documents": answer.settings.documents,
        "temperature": answer.settings.sampling.temperature,
        "guidance": answer.settings.guidance.weight,
        "snapshot": answer.snapshot,
        **more,
    }
    return "/?" + urlencode(values)


def provenance(answer: Answer) -> str:
    """Everything that the answer was made with, as JSON for people."""
    return json.dumps(
        {**answer.to_json(), "settings": asdict(answer.settings)}, indent=1, ensure_ascii=False
    )


def download(drawing: Drawing) -> str:
    """A PNG with its provenance inside, in a folder of its own."""
    path = Path(tempfile.mkdtemp(prefix="racm3-")) / "drawing.png"
    save_png(drawing.image, path, drawing.to_json())
    return str(path)


def page(answer: Answer, *asked: Image) -> str:
    """A file with what was asked, the answer, what it consulted, and how it was made."""
    path = Path(tempfile.mkdtemp(prefix="racm3-")) / "answer.html"
    body = "".join(picture_html(picture, 192) for picture in asked) + answer._repr_html_()
    about = html.escape(provenance(answer))
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>racm3</title>{body}<pre>{about}</pre>",
        encoding="utf-8",
    )
    return str(path)
