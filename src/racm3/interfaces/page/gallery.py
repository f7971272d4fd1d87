"""A self-contained page of what the sample system does, wins and failures, with its sources."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from racm3.data.sample_world.scenes import Scene, listed
from racm3.data.sample_world.things import SIZES, Thing, things
from racm3.document import Document, Image
from racm3.evaluation.fidelity import nearest_things
from racm3.evaluation.invented import invented_things, taught
from racm3.evaluation.shown import Shown, sheet, strip
from racm3.runtime import dice, progress, write_whole
from racm3.system import RACM3, Consulted, Settings
from racm3.system.parts import SampleShelf
from racm3.system.results import picture_html

SHADE = 200
KEYWORDED, LETTERED, CROWNED, PET = "mirror ball", "NEW button", "ghost", "cat"


def make_gallery(system: RACM3, settings: Settings, folder: Path) -> Path:
    """Write gallery.html and contact-sheet.png; the path of the page."""
    lines = list(progress(show_all(system, settings), label="demo", total=17))
    write_whole(folder / "gallery.html", page(lines, system, settings))
    write_whole(folder / "contact-sheet.png", sheet(map(strip, lines)).png())
    return folder / "gallery.html"


def prompts() -> list[tuple[str, Thing]]:
    """A handful of held-out things and a handful of seen ones, each on some background."""
    rng = dice(2022)
    held = [thing for thing in things() if thing.held_out]
    flags = [thing for thing in held if thing.name.startswith("flag of")]
    others = [thing for thing in held if thing.group in ("Food & Drink", "Animals & Nature")]
    seen = [thing for thing in things() if not thing.held_out and thing.group == "Objects"]
    chosen = [*_some(flags, 2, rng), *_some(others, 3, rng), *_some(seen, 1, rng)]
    grounds = ("blue", "white", "yellow", "pink", "green", "orange")
    return [
        (Scene((thing,), colour=ground).captions()[0], thing)
        for thing, ground in zip(chosen, grounds, strict=True)
    ]


def _some(which: Sequence[Thing], count: int, rng: np.random.Generator) -> list[Thing]:
    return [which[i] for i in sorted(rng.choice(len(which), count, replace=False))]


def show_all(system: RACM3, settings: Settings) -> Iterator[Shown]:
    """One line after another, each as soon as it is there."""
    for caption, thing in prompts():
        yield draw_line(system, settings, caption, thing)
    pair = [thing for _, thing in prompts()[1:3]]
    together = f"{pair[0].noun} with {pair[1].noun}"
    moved = Scene((pair[0],), colour="grey", size="small", place="left").captions()[0]
    animal = prompts()[3][1]
    yield draw_line(system, settings, moved, pair[0])
    yield draw_line(system, settings, together, pair[0])
    ghost, pet = (next(one for one in things() if one.name == name) for name in (CROWNED, PET))
    yield draw_line(system, settings, f"{ghost.noun} wearing a crown", ghost)
    yield draw_line(system, settings, listed([one.noun for _, one in prompts()[2:5]]), animal)
    yield draw_line(system, settings, f"a red {animal.name}", animal)
    yield draw_line(system, settings, "a blue kitten and a red puppy", pet)
    if isinstance(system.parts.shelf, SampleShelf):  # nobody's own memory is read whole for this
        yield keyword_line(system, settings)
        yield taught_line(system, settings)
        yield lettered_line(system, settings)
    yield caption_line(system, settings, animal)
    yield infill_line(system, settings)


def draw_line(system: RACM3, settings: Settings, caption: str, thing: Thing) -> Shown:
    drawing = system.draw(caption, settings)
    plain = system.without_retrieval.draw(caption, settings)
    note = "never seen in training" if thing.held_out else "seen in training"
    note += f"; read as: {drawing.revised_prompt}" if drawing.revised_prompt else ""
    return Shown(caption, note, drawing.consulted, None, drawing.image, plain.image)


def keyword_line(system: RACM3, settings: Settings) -> Shown:
    """Asked by words that stand in no text, only among the keywords that the memory lists."""
    (thing,) = (thing for thing in things() if thing.name == KEYWORDED)
    caption = f"a {' '.join(thing.unsaid)} on a yellow background"
    drawing, plain = (one.draw(caption, settings) for one in (system, system.without_retrieval))
    note = "asked by keywords of the memory's alone"
    return Shown(caption, note, drawing.consulted, None, drawing.image, plain.image)


def lettered_line(system: RACM3, settings: Settings) -> Shown:
    """Where it fails most: a thing that only its lettering tells from its look-alikes, small; and
    what was drawn instead, if anything."""
    (thing,) = (thing for thing in things() if thing.name == LETTERED)
    scene = Scene((thing,), colour="yellow", size="small", place="right")
    line = draw_line(system, settings, scene.captions()[0], thing)
    assert isinstance(line.racm3, Image)
    (nearest,) = nearest_things(line.racm3, scene)
    return replace(line, note=f"hard, small letters: drew {things()[nearest].name}")


def taught_line(system: RACM3, settings: Settings) -> Shown:
    """A shape that dice made up, as its owner would add it: one picture under its name."""
    (thing,) = invented_things(1)
    wiser = taught(system, [Document.of(thing.name, thing.on_white(SIZES["large"]))])
    caption = Scene((thing,), colour="pink").captions()[0]
    drawing, plain = wiser.draw(caption, settings), wiser.without_retrieval.draw(caption, settings)
    note = "added to the memory a moment ago"
    return Shown(caption, note, drawing.consulted, None, drawing.image, plain.image)


def caption_line(system: RACM3, settings: Settings, thing: Thing) -> Shown:
    picture = Scene((thing,), colour="yellow").draw()
    written = system.caption(picture, settings)
    plain = system.without_retrieval.caption(picture, settings)
    note = "described in words"
    return Shown("(what is this?)", note, written.consulted, picture, written.text, plain.text)


def infill_line(system: RACM3, settings: Settings) -> Shown:
    """The lower half of a held-out flag is taken away and drawn again."""
    thing = prompts()[0][1]
    scene = Scene((thing,), colour="white")
    mask = np.zeros((64, 64), dtype=bool)
    mask[32:] = True
    whole, caption = scene.draw(), f"{thing.noun} on a white background"
    blank = Image(np.where(mask[..., None], np.uint8(SHADE), whole.pixels))
    drawing = system.infill(whole, mask, caption, settings)
    plain = system.without_retrieval.infill(whole, mask, caption, settings)
    return Shown(
        caption, "lower half infilled", drawing.consulted, blank, drawing.image, plain.image
    )


STYLE = """
body{font:16px system-ui;margin:2rem auto;max-width:1100px;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;width:100%}td,th{padding:.6rem;text-align:left;vertical-align:top;
border-bottom:1px solid #8884}figure{margin:0 .6rem 0 0;display:inline-block;max-width:110px;
font-size:.75rem;vertical-align:top}small{opacity:.7}
"""


def page(lines: Sequence[Shown], system: RACM3, settings: Settings) -> str:
    rows = "".join(_row(line) for line in lines)
    about = (
        f"seed {settings.seed}, {settings.candidates} candidate(s), "
        f"documents: {settings.documents}, memory: {html.escape(system.snapshot)}"
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>racm3: looked up, then drawn</title><style>{STYLE}</style>"
        "<h1>Looked up, then drawn</h1><p>RA-CM3 reads the consulted documents before it answers; "
        "CM3 has the same size and training but reads nothing.</p>"
        "<table><tr><th>prompt<th>consulted<th>RA-CM3<th>CM3 (no retrieval)</tr>"
        f"{rows}</table><p><small>{about}</small></p></html>"
    )


def _row(line: Shown) -> str:
    given = picture_html(line.given, 128) if line.given else ""
    consulted = "".join(_source(one) for one in line.consulted)
    return (
        f"<tr><td>{html.escape(line.title)}<br><small>{html.escape(line.note)}</small><br>{given}"
        f"<td>{consulted}<td>{_result(line.racm3)}<td>{_result(line.cm3)}</tr>"
    )


def _source(one: Consulted) -> str:
    pictures = "".join(picture_html(image, 96) for image in one.document.images)
    return f"<figure>{pictures}<figcaption>{html.escape(one.told)}</figure>"


def _result(result: Image | str) -> str:
    return html.escape(result) if isinstance(result, str) else picture_html(result, 160)
