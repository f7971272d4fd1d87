"""What people ask, judged: in their words, things exchanged or taken out, examples, much read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from racm3.data.sample_world.phrasing import AS_GROUNDS, DOING, NO_WAYS, Ways, phrased
from racm3.data.sample_world.scenes import Scene
from racm3.document import Document, Image
from racm3.evaluation import fidelity
from racm3.evaluation.attributes import in_its_dyes
from racm3.evaluation.report import Row, mean
from racm3.runtime import dice
from racm3.system import RACM3, Settings
from racm3.system.many import numbered

EXAMPLES, PHRASES = 83, 84
Some = Sequence[tuple[Scene, Document]]
Around = Callable[[str, np.random.Generator], str]
# The answer of one system about one scene, with this seed in its settings: right or not.
Judge = Callable[[RACM3, int, Settings], bool]


def edits(system: RACM3, baseline: RACM3, some: Some, settings: Settings) -> list[Row]:
    """A thing of a picture exchanged for one of the next one's, said in full and by its name alone;
    or taken out, where it is the only one. All that is redrawn is the square that it stood in."""
    each = len(some[0][0].things)

    def asked(one: RACM3, number: int, words: str, mine: Settings) -> Image:
        scene, document = some[number]
        picture = document.images[0]
        box = fidelity.thing_box(scene, picture.width, number % each)
        return one.infill(picture, box, words, mine).image

    def wanted(number: int) -> Scene:
        scene, other = some[number][0], some[(number + 1) % len(some)][0]
        kept = list(scene.things)
        kept[number % each] = other.things[0]
        return scene.showing(*kept)

    def in_full(one: RACM3, number: int, mine: Settings) -> bool:
        words = wanted(number).captions()[0]
        return fidelity.faithful(asked(one, number, words, mine), wanted(number))

    def by_name(one: RACM3, number: int, mine: Settings) -> bool:
        words = wanted(number).things[number % each].noun
        return fidelity.faithful(asked(one, number, words, mine), wanted(number))

    def taken_out(one: RACM3, number: int, mine: Settings) -> bool:
        scene = some[number][0]
        return fidelity.emptied(asked(one, number, scene.showing().captions()[0], mine), scene)

    both = (system, baseline)
    thing = "1 held-out thing" if each == 1 else f"one of {each} held-out things"
    exchanged = "thing exchanged"
    rows = [
        _row(f"{exchanged} is right", f"{thing}, said in full", in_full, both, some, settings),
        _row(f"{exchanged} is right", f"{thing}, its name alone", by_name, both, some, settings),
    ]
    if each == 1:
        rows.append(_row("thing is taken out", thing, taken_out, both, some, settings))
    return rows


def likened(system: RACM3, some: Some, settings: Settings) -> list[Row]:
    """Scenes drawn after another scene of the same thing, which the user gives."""

    def like(one: RACM3, number: int, mine: Settings) -> bool:
        scene, document = some[number]
        example = Scene.random(scene.things, dice(EXAMPLES, number), count=1).draw()
        drawing = one.draw(document.text, mine, like=[example])
        return fidelity.faithful(drawing.image, scene)

    where = "1 held-out thing, after another scene of it"
    return [_row(f"fidelity[{fidelity.NAME}]", where, like, (system,), some, settings)]


def in_peoples_words(
    system: RACM3,
    baseline: RACM3,
    some: Some,
    settings: Settings,
    words: str = "in people's words",
    *,
    ways: Ways = NO_WAYS,
    around: Around | None = None,
) -> list[Row]:
    """Scenes drawn by what people say of them who do not know our captions, as the system rephrases
    it and as it is typed; with `ways`, two things joined by these, and with words `around` it
    (`phrasing`)."""

    def drawn(one: RACM3, number: int, mine: Settings) -> bool:
        scene, rng = some[number][0], dice(PHRASES, number)
        said = phrased(scene, rng, ways=ways)
        picture = one.draw(around(said, rng) if around else said, mine).image
        right = fidelity.faithful(picture, scene)
        return right and (not scene.dyes or in_its_dyes(picture, scene))

    dyed = any(scene.dyes for scene, _ in some)
    where = f"{len(some[0][0].things)} held-out thing(s){', dyed' * dyed}, {words}"
    measure = "right, and in the dye asked for" if dyed else f"fidelity[{fidelity.NAME}]"
    both, typed = (system, baseline), replace(settings, as_typed=True)
    return [
        _row(measure, where, drawn, both, some, settings),
        _row(measure, f"{where}, read as typed", drawn, both, some, typed),
    ]


def repeated(some: Some) -> Some:
    """Scenes of several things with the first of them in every place, in one dye if any is dyed."""
    same = list[tuple[Scene, Document]]()
    for number, (scene, _) in enumerate(some):
        dyes, every = tuple(filter(None, scene.dyes))[:1], len(scene.things)
        scene = replace(scene, things=scene.things[:1] * every, dyes=dyes * every)
        same.append((scene, scene.document(dice(PHRASES, number))))
    return same


def sentences(system: RACM3, baseline: RACM3, some: Some, settings: Settings) -> list[Row]:
    """Two things joined in people's words by what says as often what a thing stands on, and by
    verbs."""
    kinds = {"joined by with, in, on or in front of": AS_GROUNDS, "joined by a verb": DOING}
    ask = partial(in_peoples_words, system, baseline, some, settings)
    return [row for words, ways in kinds.items() for row in ask(words, ways=ways)]


def much_read(system: RACM3, some: Some, settings: Settings) -> list[Row]:
    """Scenes drawn after more documents than are of any use."""

    def drawn(one: RACM3, number: int, mine: Settings) -> bool:
        scene, document = some[number]
        return fidelity.faithful(one.draw(document.text, mine).image, scene)

    things = len(some[0][0].things)
    rows = []
    for documents in (4, 8):
        where = f"{things} held-out thing(s), {documents} documents"
        many = replace(settings, documents=documents)
        rows.append(_row(f"fidelity[{fidelity.NAME}]", where, drawn, (system,), some, many))
    return rows


def _row(
    measure: str,
    where: str,
    judge: Judge,
    systems: Sequence[RACM3],
    some: Some,
    settings: Settings,
) -> Row:
    def judged(number: int) -> list[float]:
        mine = replace(settings, seed=settings.seed + number)
        return [float(judge(one, number, mine)) for one in systems]

    scores = numbered(systems[0], len(some), judged, label=f"{measure}, {where}")
    return Row(measure, where, *map(mean, zip(*scores, strict=True)))
