"""What the sample system does for people, judged: drawings, captions, infills, teaching."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from racm3.data.sample_world.corpus import classes
from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import Thing, held_out_things, things
from racm3.data.sample_world.wording import worded
from racm3.document import Document, Image
from racm3.evaluation import fidelity
from racm3.evaluation.attributes import Attributes, dye, obeyed, says_dye
from racm3.evaluation.copying import copied
from racm3.evaluation.fewshot import episodes, right_answers
from racm3.evaluation.invented import invented_things, recognised, taught
from racm3.evaluation.recall import recalled
from racm3.evaluation.report import Row, mean, share
from racm3.retrieval.embedding import embed_memory
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice, progress
from racm3.system import RACM3, Consulted, Settings
from racm3.system.fewshot import By
from racm3.tokens.image import ImageTokenizer

# Scenes that each of one's own things is asked by.
VIEWS = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """What was asked, what was read, and both answers: a line to look at."""

    title: str
    note: str
    consulted: tuple[Consulted, ...]
    given: Image | None
    racm3: Image | str
    cm3: Image | str


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
    for number, (scene, document) in enumerate(progress(some, label=f"drawing {where}")):
        mine = replace(settings, seed=settings.seed + number)
        drawing, other = (one.draw(document.text, mine) for one in (system, baseline))
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
        *_in_its_dye(system.codec.image, some, right, [one[-1] for one in attributes], where),
    ]


def paraphrases(system: RACM3, baseline: RACM3, settings: Settings) -> list[Row]:
    """Held-out things asked for by two or more keywords that stand in no text of theirs."""
    right, plain, found = [], [], []
    some = [thing for thing in held_out_things() if len(thing.unsaid) > 1]
    for number, thing in enumerate(progress(some, label="paraphrases")):
        scene, mine = Scene((thing,)), replace(settings, seed=settings.seed + number)
        caption = f"a {' '.join(thing.unsaid)} on a {scene.colour} background"
        drawing, other = (one.draw(caption, mine) for one in (system, baseline))
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
        float(fidelity.faithful(one, scene) and (not dyed or dye(one, scene) == scene.dye))
        for one, (scene, _) in zip(rebuilt, some, strict=True)
    ]


def _in_its_dye(
    tokenizer: ImageTokenizer,
    some: Sequence[tuple[Scene, Document]],
    right: Sequence[float],
    in_dye: Sequence[float],
    where: str,
) -> list[Row]:
    """Where things are dyed: right and in the dye asked for at once, and the most that can be."""
    if not any(scene.dye for scene, _ in some):
        return []
    both = [one * other for one, other in zip(right, in_dye, strict=True)]
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
    """The lower half of a picture redrawn; judged by the redrawn pixels alone."""
    right: list[list[float]] = [[], []]
    for number, (scene, document) in enumerate(progress(some, label="infills")):
        picture = document.images[0]
        mask = np.zeros((picture.height, picture.width), dtype=bool)
        mask[picture.height // 2 :] = True
        mine = replace(settings, seed=settings.seed + number)
        for one, scores in zip((system, baseline), right, strict=True):
            made = one.infill(picture, mask, document.text, mine).image
            scores.append(float(fidelity.faithful(made, scene, part=mask)))
    return [Row("infilled half is right", "held-out flags, large", mean(right[0]), mean(right[1]))]


def teaching(system: RACM3, settings: Settings, *, count: int) -> list[Row]:
    """Things invented for this measurement: in the memory as things are there, or as whoever has a
    folder of pictures would add them, in their own words, too; and taken out of it again."""
    plain = invented_things(count)
    own = [worded(thing, dice(settings.seed, 95, row)) for row, thing in enumerate(plain)]
    pictures = [thing.document().images[0] for thing in plain]
    rows = []
    for where, things_, shown in (
        ("in the memory", plain, [thing.document() for thing in plain]),
        ("in the memory, one picture each", plain, as_added(plain)),
        ("in the memory, one picture each, in people's words", own, as_added(own)),
        ("not in the memory", plain, []),
    ):
        one, right = taught(system, shown) if shown else system, []
        for number, thing in enumerate(progress(things_, label=f"invented, {where}")):
            caption = f"{thing.noun} on a white background"
            drawing = one.draw(caption, replace(settings, seed=settings.seed + number))
            right.append(float(recognised(drawing.image, pictures) == number))
        label = f"right among {count} invented things, chance {1 / count:.3f}"
        rows.append(Row(label, where, mean(right)))
    return [
        *rows,
        namings(system, plain, settings, "invented things"),
        namings(system, own, settings, "invented things, in people's words"),
    ]


def namings(system: RACM3, some: Sequence[Thing], settings: Settings, where: str) -> Row:
    """How often a caption says the name of a thing whose document alone is the memory: whether it
    can be read and spelt, not whether the retriever knows such pictures."""
    named = []
    for number, thing in enumerate(progress(some, label=f"naming {where}")):
        (document,) = as_added([thing])
        memory = ListShelf([document], embed_memory(system.encoder, [document]))
        scene = Scene.random([thing], dice(settings.seed, 96, number), count=1)
        mine = replace(settings, seed=settings.seed + number, least=None)
        said = system.remembering(memory).caption(scene.draw(), mine)
        named.append(float(thing.name in said.text))
    return Row("caption names the thing, its document given", where, mean(named))


def own_pictures(system: RACM3, baseline: RACM3, settings: Settings, *, count: int) -> list[Row]:
    """Invented things added with one picture each, asked by scenes of them among all that is
    known: whether theirs is the first document, and what is said of it."""
    some = invented_things(count)
    knowing, before = taught(system, as_added(some)), len(system.library.retriever().ids)
    rows = [row for row in range(count) for _ in range(VIEWS)]
    rngs = [dice(settings.seed, 97, row, n % VIEWS) for n, row in enumerate(rows)]
    scenes = [Scene.random([some[row]], rng, count=1) for row, rng in zip(rows, rngs, strict=True)]
    asked = [Document.of(scene.draw()) for scene in scenes]
    right = [before + row for row in rows]
    hits = recalled(knowing.library.retriever(), asked, right, k=1).astype(float)
    where = "invented things, one picture each, among all"
    told = [(scene, scene.document(rng)) for scene, rng in zip(scenes, rngs, strict=True)]
    return [
        Row("recall@1, picture to document", where, mean(hits.tolist())),
        *captions(knowing, baseline, told[::VIEWS], settings, where, []),
    ]


def as_added(some: Sequence[Thing]) -> list[Document]:
    """Documents as people add them: with one picture."""
    shown = [thing.document() for thing in some]
    return [Document.of(document.text, document.images[0]) for document in shown]


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
    """How often a caption says the name of the thing that the picture shows and calls it dyed only
    if it is, and how often its document was found; what does not name it is added to `wrong`."""
    named, plain, found = [], [], []
    sober, others = [], []
    for number, (scene, document) in enumerate(progress(some, label=f"captions, {where}")):
        mine, picture = replace(settings, seed=settings.seed + number), document.images[0]
        thing = scene.things[0]
        said, other = (one.caption(picture, mine) for one in (system, baseline))
        named.append(float(thing.name in said.text))
        plain.append(float(thing.name in other.text))
        sober.append(float(says_dye(said.text, scene)))
        others.append(float(says_dye(other.text, scene)))
        found.append(float(any(one.title == thing.text for one in said.consulted)))
        if not named[-1]:
            note = f"names it wrongly: {thing.name}"
            wrong.append(
                Shown("(what is this?)", note, said.consulted, picture, said.text, other.text)
            )
    return [
        Row("caption names the thing", where, mean(named), mean(plain)),
        Row("caption says whether it is dyed", where, mean(sober), mean(others)),
        Row("the thing among the consulted, by picture", where, mean(found)),
    ]
