"""What the sample system does for people, judged: drawings, captions, infills, teaching."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from racm3.data.sample_world.corpus import classes
from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import held_out_things, things
from racm3.document import Document, Image
from racm3.evaluation import fidelity
from racm3.evaluation.attributes import Attributes, in_its_dyes, obeyed, says_dye, says_number
from racm3.evaluation.copying import copied
from racm3.evaluation.fewshot import episodes, right_answers
from racm3.evaluation.report import Row, mean, share
from racm3.evaluation.shown import Shown
from racm3.system import RACM3, Drawing, Settings, Writing
from racm3.system.fewshot import By
from racm3.system.filling import GAP
from racm3.system.many import numbered
from racm3.tokens.image import ImageTokenizer


def drawings(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
    where: str,
    wrong: list[Shown],
) -> list[Row]:
    """Fidelity with the retriever's own neighbours, how often it found the thing, and copying.

    What RA-CM3 drew wrong is added to `wrong`, beside the right picture.
    """
    right, plain, found, read = [], [], [], []
    copied, owed, attributes = [], [], []

    def drawn(number: int) -> list[Drawing]:
        mine = replace(settings, seed=settings.seed + number)
        return [one.draw(some[number][1].text, mine) for one in (system, baseline)]

    answers = list(numbered(system, len(some), drawn, label=f"drawing {where}"))
    for (scene, document), (drawing, other) in zip(some, answers, strict=True):
        nearest = fidelity.nearest_things(drawing.image, scene)
        right.append(float(nearest == fidelity.rows_of(scene)))
        plain.append(float(fidelity.faithful(other.image, scene)))
        if not right[-1]:
            note = "drew " + " and ".join(things()[row].name for row in nearest)
            wrong.append(
                Shown(
                    document.text, note, drawing.consulted, document.images[0],
                    drawing.image, other.image,
                )
            )  # fmt: skip
        consulted = [one.document for one in drawing.consulted]
        names = [one.text.split(" (")[0] for one in consulted]
        found.append(float(all(thing.name in names for thing in scene.things)))
        if found[-1]:
            read.append(right[-1])
        copied.append(_copied(system, drawing.image, consulted))
        owed.append(_copied(system, document.images[0], consulted))
        if len(scene.things) == 1:
            attributes.append([float(one) for one in obeyed(drawing.image, scene)])
    kept = faithfully_kept(system.codec.image, some)
    return [
        Row(f"fidelity[{fidelity.NAME}]", where, mean(right), mean(plain)),
        Row("the tokenizer alone", where, mean(kept)),
        Row("share of what the tokenizer keeps", where, share(right, kept)),
        Row("all things among the consulted", where, mean(found)),
        *([Row("fidelity where they are", where, mean(read))] if read else []),
        *_by_size([scene.size for scene, _ in some], right, plain, where),
        Row("codes equal to a consulted picture's", where, mean(copied)),
        Row("the same of the right picture", where, mean(owed)),
        *(
            Row(f"{name} as the caption says", where, mean([one[i] for one in attributes]))
            for i, name in enumerate(Attributes._fields)
            if attributes
        ),
        *_in_its_dye(system.codec.image, some, right, [one.image for one, _ in answers], where),
    ]


def paraphrases(system: RACM3, baseline: RACM3, settings: Settings) -> list[Row]:
    """Held-out things asked for by two or more keywords that stand in no text of theirs."""
    right, plain, found = [], [], []
    some = [thing for thing in held_out_things() if len(thing.unsaid) > 1]

    def drawn(number: int) -> list[Drawing]:
        words, mine = some[number].unsaid, replace(settings, seed=settings.seed + number)
        caption = f"a {' '.join(words)} on a {Scene((some[number],)).colour} background"
        return [one.draw(caption, mine) for one in (system, baseline)]

    answers = numbered(system, len(some), drawn, label="paraphrases")
    for thing, (drawing, other) in zip(some, answers, strict=True):
        scene = Scene((thing,))
        right.append(float(fidelity.faithful(drawing.image, scene)))
        plain.append(float(fidelity.faithful(other.image, scene)))
        found.append(float(any(one.title == thing.text for one in drawing.consulted)))
    where = "held-out things by keywords that no text says of them"
    return [
        Row(f"fidelity[{fidelity.NAME}]", where, mean(right), mean(plain)),
        Row("all things among the consulted", where, mean(found)),
    ]


def faithfully_kept(
    tokenizer: ImageTokenizer, some: Sequence[tuple[Scene, Document]], *, dyed: bool = False
) -> list[float]:
    """Whether the right picture is still right when it has been codes: the most that can be.

    Where `dyed`, its dye has to be told from the others and from none, too.
    """
    rebuilt = tokenizer.decode(tokenizer.encode([document.images[0] for _, document in some]))
    return [
        float(fidelity.faithful(one, scene) and (not dyed or in_its_dyes(one, scene)))
        for one, (scene, _) in zip(rebuilt, some, strict=True)
    ]


def _in_its_dye(
    tokenizer: ImageTokenizer,
    some: Sequence[tuple[Scene, Document]],
    right: Sequence[float],
    pictures: Sequence[Image],
    where: str,
) -> list[Row]:
    """Where things are dyed: right and in the dye asked for at once, and the most that can be."""
    if not any(scene.dyes for scene, _ in some):
        return []
    both = [
        one * in_its_dyes(picture, scene)
        for one, picture, (scene, _) in zip(right, pictures, some, strict=True)
    ]
    kept = faithfully_kept(tokenizer, some, dyed=True)
    return [
        Row("right, and in the dye asked for", where, mean(both)),
        Row("the tokenizer alone, the dye too", where, mean(kept)),
        Row("share of what the tokenizer keeps, the dye too", where, share(both, kept)),
    ]


def _by_size(
    sizes: Sequence[str], right: Sequence[float], plain: Sequence[float], where: str
) -> list[Row]:
    """A large thing is copied cell by cell, a small one must be shrunk: two different skills."""
    if len(set(sizes)) < 2:
        return []
    rows = []
    for size in sorted(set(sizes)):
        mine, theirs = (
            [score for score, one in zip(scores, sizes, strict=True) if one == size]
            for scores in (right, plain)
        )
        rows.append(Row(f"fidelity[{fidelity.NAME}]", f"{where}, {size}", mean(mine), mean(theirs)))
    return rows


def _copied(system: RACM3, picture: Image, consulted: Sequence[Document]) -> float:
    return copied(system.codec.image, picture, [image for d in consulted for image in d.images])[0]


def infills(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
) -> list[Row]:
    """Half of a picture redrawn, as its caption says or without any words; judged by the redrawn
    pixels alone."""
    rows, ways = (
        list[Row](),
        (("", 0, True), (", right half", 1, True), (", without words", 0, False)),
    )
    for how, axis, told in ways:
        where = f"held-out flags, large{how}"

        def right(number: int, axis: int = axis, told: bool = told) -> list[float]:
            scene, document = some[number]
            picture = document.images[0]
            sides = (picture.height, picture.width)
            mask = np.indices(sides)[axis] >= sides[axis] // 2
            mine, said = replace(settings, seed=settings.seed + number), document.text * told
            made = [one.infill(picture, mask, said, mine).image for one in (system, baseline)]
            return [float(fidelity.faithful(one, scene, part=mask)) for one in made]

        scores = numbered(system, len(some), right, label=f"infills, {where}")
        rows.append(Row("infilled half is right", where, *map(mean, zip(*scores, strict=True))))
    return rows


def tellings(system: RACM3, baseline: RACM3, *, count: int, seed: int) -> list[Row]:
    """Two held-out things told apart after one example of each, asked either way round."""
    some = episodes(classes(), count, k=1, seed=seed)
    ways: tuple[By, ...] = ("picture", "label")
    rows = []
    for by in ways:
        right = [mean(right_answers(one, some, by=by)) for one in (system, baseline)]
        rows.append(Row("1-shot accuracy, chance 0.5", f"by how likely the {by} is", *right))
    return rows


def captions(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
    where: str,
    wrong: list[Shown],
) -> list[Row]:
    """How often a caption says the names of all things that the picture shows and calls one dyed
    only if it is, and how often their documents were found; what does not name them is added to
    `wrong`."""
    named, plain, found = [], [], []
    sober, others, counted, theirs = [], [], [], []

    def described(number: int) -> list[Writing]:
        mine, picture = replace(settings, seed=settings.seed + number), some[number][1].images[0]
        return [one.caption(picture, mine) for one in (system, baseline)]

    answers = numbered(system, len(some), described, label=f"captions, {where}")
    for (scene, document), (said, other) in zip(some, answers, strict=True):
        names, picture = {thing.name for thing in scene.things}, document.images[0]
        named.append(float(all(name in said.text for name in names)))
        plain.append(float(all(name in other.text for name in names)))
        sober.append(float(says_dye(said.text, scene)))
        others.append(float(says_dye(other.text, scene)))
        counted.append(float(says_number(said.text, scene)))
        theirs.append(float(says_number(other.text, scene)))
        titles = {one.title for one in said.consulted}
        found.append(float(titles.issuperset(thing.text for thing in scene.things)))
        if not named[-1]:
            note = f"names it wrongly: {' and '.join(sorted(names))}"
            wrong.append(
                Shown("(what is this?)", note, said.consulted, picture, said.text, other.text)
            )
    shown = {1: "the thing", 2: "both things"}.get(len(some[0][0].things), "all things")
    return [
        Row(f"caption names {shown}", where, mean(named), mean(plain)),
        Row("caption says whether it is dyed", where, mean(sober), mean(others)),
        Row("caption says how often it is there", where, mean(counted), mean(theirs)),
        Row(f"{shown} among the consulted, by picture", where, mean(found)),
    ]


def own_drawings(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
    where: str,
) -> list[Row]:
    """Captions of what RA-CM3 itself drew of these scenes, be it right or wrong."""

    def drawn(number: int) -> Document:
        text, mine = some[number][1].text, replace(settings, seed=settings.seed + number)
        return Document.of(text, system.draw(text, mine).image)

    pictures = numbered(system, len(some), drawn, label=f"its drawings, {where}")
    scenes = [scene for scene, _ in some]
    shown = list(zip(scenes, pictures, strict=True))
    return captions(system, baseline, shown, settings, f"{where}, drawn by RA-CM3", [])


def gaps(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
    where: str,
) -> list[Row]:
    """How often a caption that lacks the name of the first thing is whole again, word by word."""

    def right(number: int) -> list[float]:
        scene, document = some[number]
        gapped = document.text.replace(scene.things[0].name, GAP, 1)
        mine, picture = replace(settings, seed=settings.seed + number), document.images[0]
        filled = [one.infill_text(gapped, picture, mine).text for one in (system, baseline)]
        return [float(one == document.text) for one in filled]

    scores = numbered(system, len(some), right, label=f"gaps, {where}")
    both = map(mean, zip(*scores, strict=True))
    return [Row("gap in a caption is filled word by word", where, *both)]
