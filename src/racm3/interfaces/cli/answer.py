"""Verbs that answer: draw, caption, infill, edit, classify, complete."""

import json as json_
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool

from racm3.document import Image
from racm3.errors import ConfigError, GenerationError
from racm3.interfaces.cli.waiting import waiting
from racm3.interfaces.masks import box_mask, picture_mask
from racm3.system import RACM3, Drawing, Settings
from racm3.system.cores import SMALL, take_cores
from racm3.system.fewshot import By
from racm3.system.results import Answer, save_png
from racm3.tokens.markup import from_html, to_html


@dataclass(frozen=True, kw_only=True)
class Using:
    """What to answer with.

    Args:
        system: A system folder, or `sample` for the one that ships with racm3.
        memory: A memory folder to consult instead of the system's own.
        search: How the memory is searched: `exact` looks at all of it, `indexed` asks what
            `racm3 memory index` made, and `system` does what the system does.
        generator: `racm3`, or `cm3` for the baseline without retrieval.
        device: auto, cpu or cuda.
        threads: Cores for one operation on a CPU; 0 takes one for a generator of less than 10
            million weights (a server for one of less than 100): nearly as fast alone, much
            faster on a busy machine.
    """

    system: str = "sample"
    memory: Path | None = None
    search: Literal["system", "exact", "indexed"] = "system"
    generator: str = "racm3"
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ConfigError(f"{self.threads} threads are none; 0 leaves the choice to racm3")

    def open(self, *, small: int = SMALL) -> RACM3:
        """The system; whoever encodes many pictures calls no generator `small`."""
        system = RACM3.open(
            self.system,
            memory=self.memory,
            device=self.device,
            generator=self.generator,
            search=None if self.search == "system" else self.search,
        )
        take_cores(system, self.threads, small=small)
        return system


def draw(
    caption: str,
    *,
    out: Path = Path("drawing.png"),
    like: list[Path] | None = None,
    using: Using = Using(),
    settings: Settings,
    json: bool = False,
) -> None:
    """Draw a caption, consulting the memory, and say which documents were consulted.

    Args:
        caption: What to draw.
        out: Where the picture goes (PNG); further candidates get -2, -3, ... in their names.
        like: Pictures to read instead of looking any up (style by demonstration).
        using: System and memory.
        json: Print the answer's provenance as JSON.
    """
    require_png(out)
    demonstrations = [Image.read(path) for path in like or []]
    system = using.open()
    with waiting("drawing") as watch:
        drawing = system.draw(caption, settings, like=demonstrations, watch=watch)
    show_drawing(drawing, out, json)


def caption(
    picture: Path, *, using: Using = Using(), settings: Settings, json: bool = False
) -> None:
    """Describe a picture in words, consulting the memory.

    Args:
        picture: A PNG, JPEG or WebP file.
        using: System and memory.
        json: Print texts, perplexities and provenance as JSON.
    """
    image, system = Image.read(picture), using.open()
    with waiting("describing") as watch:
        writing = system.caption(image, settings, watch=watch)
    show(writing, json, writing.text)


def infill(
    picture: Path,
    *,
    box: str,
    caption: str = "",
    out: Path = Path("infilled.png"),
    using: Using = Using(),
    settings: Settings,
    json: bool = False,
) -> None:
    """Redraw a part of a picture; the rest stays as it is.

    Args:
        picture: A PNG, JPEG or WebP file.
        box: The part to redraw as left,top,right,bottom in percent, or a mask file whose white
            pixels are redrawn.
        caption: What the whole picture shows; may be left out.
        out: Where the result goes (PNG).
        using: System and memory.
        json: Print the answer's provenance as JSON.
    """
    require_png(out)
    image = Image.read(picture, whole=True)
    mask, system = read_mask(box, image), using.open()
    with waiting("redrawing") as watch:
        drawing = system.infill(image, mask, caption, settings, watch=watch)
    show_drawing(drawing, out, json)


def infill_text(
    text: str,
    *,
    picture: Path | None = None,
    using: Using = Using(),
    settings: Settings,
    json: bool = False,
) -> None:
    """Fill the gap ___ in a text, looking at a picture if one is given.

    Args:
        text: Words with one gap, written ___.
        picture: A picture that the text belongs to.
        using: System and memory.
        json: Print texts, perplexities and provenance as JSON.
    """
    image, system = Image.read(picture) if picture else None, using.open()
    with waiting("filling the gap") as watch:
        writing = system.infill_text(text, image, settings, watch=watch)
    show(writing, json, writing.text)


def edit(
    picture: Path,
    *,
    box: str,
    like: list[Path],
    caption: str = "",
    out: Path = Path("edited.png"),
    using: Using = Using(),
    settings: Settings,
    json: bool = False,
) -> None:
    """Redraw a part of a picture after example pictures that you choose.

    Args:
        picture: A PNG, JPEG or WebP file.
        box: The part to redraw as left,top,right,bottom in percent, or a mask file.
        like: Pictures to read while redrawing.
        caption: What the whole picture should show.
        out: Where the result goes (PNG).
        using: System and memory.
        json: Print the answer's provenance as JSON.
    """
    require_png(out)
    image, examples = Image.read(picture, whole=True), [Image.read(path) for path in like]
    mask, system = read_mask(box, image), using.open()
    with waiting("redrawing") as watch:
        drawing = system.infill(image, mask, caption, settings, documents=examples, watch=watch)
    show_drawing(drawing, out, json)


def classify(
    picture: Path,
    *,
    examples: dict[str, list[Path]],
    by: By = "picture",
    using: Using = Using(),
    settings: Settings,
    json: bool = False,
) -> None:
    """Say which label a picture deserves, after k example pictures of each.

    Args:
        picture: The picture to judge.
        examples: Labels (any words) with equally many pictures:
            '{"X": ["a.png"], "Y": ["b.png"]}'.
        by: Ask how likely the picture is after examples of a label, or (as the paper does) how
            likely the label is after an example of each.
        using: System and memory.
        json: Print probabilities and provenance as JSON.
    """
    shown = {label: [Image.read(path) for path in paths] for label, paths in examples.items()}
    image, system = Image.read(picture), using.open()
    with waiting("classifying") as watch:
        result = system.classify(image, shown, settings, by=by, watch=watch)
    lines = [f"{label}\t{value:.3f}" for label, value in result.probabilities.items()]
    show(result, json, "\n".join([result.label, *lines]))


def complete(
    document: Path,
    *,
    more: int = 2,
    out: Path = Path("completed.html"),
    using: Using = Using(),
    settings: Settings,
    json: bool = False,
) -> None:
    """Go on with an interleaved document of texts and pictures.

    Args:
        document: An HTML file of <p>text</p> and <img alt="text" src="file or data:">.
        more: At most this many further texts or pictures.
        out: Where the whole document goes (HTML).
        using: System and memory.
        json: Print texts and provenance as JSON.
    """
    try:
        markup = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GenerationError(f"cannot read the document {document}: {error}") from error
    given = from_html(markup, fetch=lambda name: Image.read(document.parent / name))
    system = using.open()
    with waiting("going on") as watch:
        completion = system.complete(given, settings, more=more, watch=watch)
    out.write_text(to_html(completion.document), encoding="utf-8")
    show(completion, json, str(out))


def show(answer: Answer, json: bool, text: str) -> None:
    if json:
        print(json_.dumps(answer.to_json(), ensure_ascii=False, default=str))
        return
    print(text)
    if isinstance(answer, Drawing) and answer.revised_prompt:
        print(f"  read as\t{answer.revised_prompt}")
    for one in answer.consulted:
        print("\t".join(filter(None, ("  consulted", one.found, one.title, one.note))))
    if not answer.consulted:
        print("  consulted\tnothing")


def require_png(out: Path) -> None:
    """Refuse a place where no PNG belongs before anything is drawn for it."""
    if out.suffix.lower() != ".png" or out.is_dir():
        raise ConfigError(f"{out} would be a PNG file; give a name that ends in .png")


def show_drawing(drawing: Drawing, out: Path, json: bool) -> None:
    about = drawing.to_json()
    for number, image in enumerate(drawing.images, start=1):
        path = out if number == 1 else out.with_stem(f"{out.stem}-{number}")
        save_png(image, path, about)
    show(drawing, json, str(out))


def read_mask(box: str, picture: Image) -> Bool[np.ndarray, "height width"]:
    """A box in percent, or a picture whose white pixels are to be redrawn."""
    if len(box.split(",")) == 4:
        return box_mask(box, picture)
    return picture_mask(Image.read(box, whole=True), picture)
