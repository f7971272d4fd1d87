"""Everything that is claimed of the sample system, measured by one command."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from racm3 import __version__
from racm3.data.sample_world.corpus import memory, scenes
from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import Thing, held_out_things, seen_things, things
from racm3.document import Document, Image
from racm3.evaluation import fidelity, perplexity
from racm3.evaluation.attributes import Attributes, obeyed
from racm3.evaluation.copying import in_place
from racm3.evaluation.invented import invented_things, recognised, taught
from racm3.evaluation.recall import recalled
from racm3.evaluation.report import Estimate, mean, table
from racm3.evaluation.report import perplexity as perplexity_estimate
from racm3.runtime import dice, progress, save_json, write_whole
from racm3.system import RACM3, Settings
from racm3.tokens.codec import Kind

EVALUATION = 1000


class Row(NamedTuple):
    measure: str
    on: str
    racm3: Estimate
    cm3: Estimate | None = None


def evaluate(system: RACM3, *, count: int, seed: int, settings: Settings) -> list[Row]:
    """All measures on `count` scenes; scenes are numbered from the seed and never trained on."""
    baseline = system.without_retrieval
    draw = partial(scenes, count=count, seed=EVALUATION + seed)
    rows = [*reconstruction(system, draw(held_out_things())), *recall(system, seed)]
    for name, which in (("seen", seen_things()), ("held-out", held_out_things())):
        for kind in (Kind.IMAGE, Kind.TEXT):
            rows += perplexities(system, baseline, draw(which), kind, f"scenes of {name} things")
    for each in (1, 2):
        some = scenes(held_out_things(), count, seed=EVALUATION + seed, things_each=each)
        rows += drawings(system, baseline, some, settings, f"{each} held-out thing(s)")
    alone = draw(held_out_things(), things_each=1)
    flags = [thing for thing in held_out_things() if thing.group == "Flags"]
    whole = [one for one in scenes(flags, 3 * count, seed=EVALUATION + seed, things_each=1)]
    large = [one for one in whole if one[0].size == "large"][:count]
    return [
        *rows,
        *captions(system, baseline, alone, settings),
        *infills(system, baseline, large, settings),
        *teaching(system, settings, count=min(count, 24)),
    ]


def reconstruction(system: RACM3, some: Sequence[tuple[Scene, Document]]) -> list[Row]:
    """What the image tokenizer keeps: the ceiling of everything after it."""
    tokenizer = system.codec.image
    originals = [document.images[0] for _, document in some]
    codes = tokenizer.encode(originals)
    rebuilt = tokenizer.decode(codes)
    errors = [psnr(a, b) for a, b in zip(originals, rebuilt, strict=True)]
    right = [fidelity.faithful(b, s) for b, (s, _) in zip(rebuilt, some, strict=True)]
    where = "held-out scenes, tokenizer alone"
    shown = tokenizer.encode([image for one in memory("all") for image in one.images])
    used = np.isin(np.arange(tokenizer.codes), [*shown.ravel(), *codes.ravel()])
    return [
        Row("reconstruction PSNR (dB)", where, mean(errors)),
        Row(f"fidelity[{fidelity.NAME}]", where, mean([float(r) for r in right])),
        Row("codes in use", "all things and these scenes", mean(used.astype(float).tolist())),
    ]


def psnr(one: Image, other: Image) -> float:
    error = np.square(one.pixels.astype(np.float64) - other.pixels).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-10)))


def recall(system: RACM3, seed: int) -> list[Row]:
    """Text to document by name, and picture to document from scenes of one thing."""
    retriever, every = system.library.retriever(), things()
    rows = []
    by_name = [Document.of(thing.name) for thing in every]
    pictured, right = [], []
    for number, thing in enumerate(every):
        rng = dice(seed, 31, number)
        pictured.append(Document.of(Scene.random([thing], rng, count=1).draw()))
        right.append(number)
    other = [
        (row, Document.of(" ".join(words)))
        for row, thing in enumerate(every)
        if len(words := unsaid(thing)) > 1
    ]
    for k in (1, 5):
        for name, queries in (("text", by_name), ("picture", pictured)):
            hits = recalled(retriever, queries, right, k=k).astype(float)
            rows.append(Row(f"recall@{k}, {name} to document", "all things", mean(hits.tolist())))
        hits = recalled(retriever, [query for _, query in other], [r for r, _ in other], k=k)
        rows.append(
            Row(
                f"recall@{k}, text to document",
                "keywords that no training text had",
                mean(hits.astype(float).tolist()),
            )
        )
    return rows


def unsaid(thing: Thing) -> list[str]:
    """Keywords of a thing that stand neither in its name nor in its memory document."""
    said = thing.document().text
    return [word for word in thing.keywords if word not in said]


def perplexities(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    kind: Kind,
    where: str,
) -> list[Row]:
    """By K; the baseline never reads documents. Random documents show what the right ones do."""
    documents, codec = [document for _, document in some], system.codec
    name = "image" if kind is Kind.IMAGE else "text"
    nothing = [[] for _ in documents]  # type: list[list[Document]]
    plain = perplexity_estimate(
        *perplexity.document_losses(baseline.engine, codec, documents, nothing, kind)
    )
    rows = []
    for count, way in ((0, "retrieved"), (1, "retrieved"), (2, "retrieved"), (2, "random")):
        shown = perplexity.look_up(
            system.library.retriever(),
            documents,
            kind,
            count,
            neighbours="random" if way == "random" else "retrieved",
        )
        losses = perplexity.document_losses(system.engine, codec, documents, shown, kind)
        label = f"{name} perplexity, K = {count}" + (" random" if way == "random" else "")
        rows.append(Row(label, where, perplexity_estimate(*losses), plain))
    return rows


def drawings(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
    where: str,
) -> list[Row]:
    """Fidelity with the retriever's own neighbours, how often it found the thing, and copying."""
    right, plain, found, read = [], [], [], []
    copied, owed, attributes = [], [], []
    for number, (scene, document) in enumerate(progress(some, label=f"drawing {where}")):
        mine = replace(settings, seed=settings.seed + number)
        drawing = system.draw(document.text, mine)
        right.append(float(fidelity.faithful(drawing.image, scene)))
        plain.append(float(fidelity.faithful(baseline.draw(document.text, mine).image, scene)))
        consulted = [one.document for one in drawing.consulted]
        names = [one.text.split(" (")[0] for one in consulted]
        found.append(float(all(thing.name in names for thing in scene.things)))
        if found[-1]:
            read.append(right[-1])
        copied.append(_copied(system, drawing.image, consulted))
        owed.append(_copied(system, document.images[0], consulted))
        if len(scene.things) == 1:
            attributes.append([float(one) for one in obeyed(drawing.image, scene)])
    return [
        Row(f"fidelity[{fidelity.NAME}]", where, mean(right), mean(plain)),
        Row("all things among the consulted", where, mean(found)),
        *([Row("fidelity where they are", where, mean(read))] if read else []),
        Row("codes equal to a consulted picture's", where, mean(copied)),
        Row("the same of the right picture", where, mean(owed)),
        *(
            Row(f"{name} as the caption says", where, mean([one[i] for one in attributes]))
            for i, name in enumerate(Attributes._fields)
            if attributes
        ),
    ]


def _copied(system: RACM3, picture: Image, consulted: Sequence[Document]) -> float:
    tokenizer = system.codec.image
    codes = tokenizer.encode([picture, *(image for d in consulted for image in d.images)])
    side = tokenizer.grid.rows
    mine, *theirs = (one.reshape(side, -1) for one in codes)
    return in_place(mine, theirs)


def infills(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
) -> list[Row]:
    """The right half of a picture redrawn; judged by the redrawn pixels alone."""
    right: list[list[float]] = [[], []]
    for number, (scene, document) in enumerate(progress(some, label="infills")):
        picture = document.images[0]
        mask = np.zeros((picture.height, picture.width), dtype=bool)
        mask[:, picture.width // 2 :] = True
        mine = replace(settings, seed=settings.seed + number)
        for one, scores in zip((system, baseline), right, strict=True):
            made = one.infill(picture, mask, document.text, mine).image
            scores.append(float(fidelity.faithful(made, scene, part=mask)))
    return [Row("infilled half is right", "held-out flags, large", mean(right[0]), mean(right[1]))]


def teaching(system: RACM3, settings: Settings, *, count: int) -> list[Row]:
    """Things invented for this measurement: in the memory, and taken out of it again."""
    things_ = invented_things(count)
    pictures = [thing.document().images[0] for thing in things_]
    rows = []
    for where, one in (
        ("in the memory", taught(system, [thing.document() for thing in things_])),
        ("not in the memory", system),
    ):
        right = []
        for number, thing in enumerate(progress(things_, label=f"invented, {where}")):
            caption = f"{thing.noun} on a white background"
            drawing = one.draw(caption, replace(settings, seed=settings.seed + number))
            right.append(float(recognised(drawing.image, pictures) == number))
        label = f"right among {count} invented things, chance {1 / count:.3f}"
        rows.append(Row(label, where, mean(right)))
    return rows


def captions(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    settings: Settings,
) -> list[Row]:
    """How often a caption says the name of the thing that the picture shows."""
    scores: list[list[float]] = [[], []]
    for number, (scene, document) in enumerate(progress(some, label="captions")):
        mine = replace(settings, seed=settings.seed + number)
        for one, named in zip((system, baseline), scores, strict=True):
            text = one.caption(document.images[0], mine).text
            named.append(float(scene.things[0].name in text))
    return [Row("caption names the thing", "1 held-out thing", mean(scores[0]), mean(scores[1]))]


def as_table(rows: Sequence[Row]) -> str:
    return table(
        [
            {
                "measure": row.measure,
                "on": row.on,
                "RA-CM3 [95% interval]": str(row.racm3),
                "CM3": str(row.cm3) if row.cm3 else "",
                "n": row.racm3.count,
            }
            for row in rows
        ]
    )


def write_report(
    rows: Sequence[Row], folder: Path, *, system: RACM3, command: str, seed: int
) -> None:
    about: dict[str, Any] = {
        "command": command,
        "seed": seed,
        "racm3": __version__,
        "system": system.parts.name,
        "snapshot": system.snapshot,
    }
    values = [
        {
            "measure": row.measure,
            "on": row.on,
            "racm3": row.racm3.to_json(),
            "cm3": row.cm3.to_json() if row.cm3 else None,
        }
        for row in rows
    ]
    save_json(folder / "sample.json", {**about, "rows": values})
    written = f"# The sample system, measured\n\n`{command}`\n\n{as_table(rows)}\n"
    write_whole(folder / "sample.md", written)
