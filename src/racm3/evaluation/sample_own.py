"""What people add to the sample system's memory, judged: invented things, with or without words of
their own."""

from collections.abc import Sequence
from dataclasses import replace

from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import Thing
from racm3.data.sample_world.wording import worded
from racm3.document import Document
from racm3.evaluation.invented import invented_things, recognised, taught
from racm3.evaluation.recall import recalled
from racm3.evaluation.report import Row, mean
from racm3.evaluation.sample_tasks import captions
from racm3.retrieval.embedding import embed_memory
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice
from racm3.system import RACM3, Settings
from racm3.system.many import numbered

# Scenes that each of one's own things is asked by.
VIEWS = 4


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
        knowing = taught(system, shown) if shown else system

        def right(number: int, some: Sequence[Thing] = things_, one: RACM3 = knowing) -> float:
            caption = f"{some[number].noun} on a white background"
            drawing = one.draw(caption, replace(settings, seed=settings.seed + number))
            return float(recognised(drawing.image, pictures) == number)

        scores = list(numbered(knowing, count, right, label=f"invented, {where}"))
        label = f"right among {count} invented things, chance {1 / count:.3f}"
        rows.append(Row(label, where, mean(scores)))
    return [
        *rows,
        namings(system, plain, settings, "invented things"),
        namings(system, own, settings, "invented things, in people's words"),
    ]


def namings(system: RACM3, some: Sequence[Thing], settings: Settings, where: str) -> Row:
    """How often a caption says the name of a thing whose document alone is the memory: whether it
    can be read and spelt, not whether the retriever knows such pictures."""

    def named(number: int) -> float:
        thing = some[number]
        (document,) = as_added([thing])
        memory = ListShelf([document], embed_memory(system.encoder, [document]))
        scene = Scene.random([thing], dice(settings.seed, 96, number), count=1)
        mine = replace(settings, seed=settings.seed + number, least=None)
        said = system.remembering(memory).caption(scene.draw(), mine)
        return float(thing.name in said.text)

    scores = list(numbered(system, len(some), named, label=f"naming {where}"))
    return Row("caption names the thing, its document given", where, mean(scores))


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
