"""What the sample system's parts do by themselves, judged: tokenizer, retriever, generators."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from racm3.data.sample_world.corpus import memory
from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import things
from racm3.document import Document, Image
from racm3.evaluation import fidelity, perplexity
from racm3.evaluation.recall import recalled
from racm3.evaluation.report import Row, mean
from racm3.evaluation.report import perplexity as perplexity_estimate
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice
from racm3.system import RACM3, Settings
from racm3.tokens.codec import Kind


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
    """Text to document by name, and picture to document from scenes of one thing.

    By the CLIP alone, but for what an answer looks up: by words and the memory's keywords, too.
    """
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
        if len(words := thing.unsaid) > 1
    ]
    unheard = "keywords that no text says of the thing"
    looked_up = retriever.neighbours([query for _, query in other], 5, rng=dice(seed, 32))
    for k in (1, 5):
        for name, queries in (("text", by_name), ("picture", pictured)):
            hits = recalled(retriever, queries, right, k=k).astype(float)
            rows.append(Row(f"recall@{k}, {name} to document", "all things", mean(hits.tolist())))
        hits = recalled(retriever, [query for _, query in other], [r for r, _ in other], k=k)
        rows.append(
            Row(f"recall@{k}, text to document", unheard, mean(hits.astype(float).tolist()))
        )
        found = [
            float(wanted in {one.id for one in near[:k]})
            for (wanted, _), near in zip(other, looked_up, strict=True)
        ]
        rows.append(Row(f"recall@{k}, what an answer looks up", unheard, mean(found)))
    return rows


def perplexities(
    system: RACM3,
    baseline: RACM3,
    some: Sequence[tuple[Scene, Document]],
    kind: Kind,
    where: str,
) -> list[Row]:
    """By K; the baseline never reads documents. Random documents show what the right ones do, and
    one of these first whether a picture is drawn from the document that its text names."""
    documents = [document for _, document in some]
    name = "image" if kind is Kind.IMAGE else "text"
    nothing = [[] for _ in documents]  # type: list[list[Document]]
    plain = perplexity_estimate(
        *perplexity.document_losses(baseline.voice, documents, nothing, kind)
    )
    shown = partial(perplexity.look_up, system.library.retriever(), documents, kind)
    ways = {f"K = {count}": shown(count) for count in (0, 1, 2)}
    ways["K = 2 random"] = shown(2, neighbours="random")
    if kind is Kind.IMAGE:
        pairs = zip(shown(1, neighbours="random"), ways["K = 1"], strict=True)
        ways["K = 2, a random one first"] = [[*other, *right] for other, right in pairs]
    rows = []
    for way, before in ways.items():
        losses = perplexity.document_losses(system.voice, documents, before, kind)
        rows.append(Row(f"{name} perplexity, {way}", where, perplexity_estimate(*losses), plain))
    return rows


def choosing(system: RACM3, some: Sequence[tuple[Scene, Document]]) -> list[Row]:
    """Whether the name in the prompt says which document a picture is of.

    Once a few codes are said they tell, so none is read. Guessing between two documents costs a
    factor of two in either order, or more in one order and less in the other.
    """
    documents, rows = [document for _, document in some], []
    where = "scenes of 1 held-out thing, no code read"
    shown = partial(perplexity.look_up, system.library.retriever(), documents, Kind.IMAGE, 1)
    right, other = shown(), shown(neighbours="random")
    ways = {
        "the right document": right,
        "the right one first": [[*a, *b] for a, b in zip(right, other, strict=True)],
        "a random one first": [[*b, *a] for a, b in zip(right, other, strict=True)],
    }
    for way, before in ways.items():
        losses = perplexity.document_losses(
            system.voice, documents, before, Kind.IMAGE, hidden=True
        )
        rows.append(Row(f"image perplexity, {way}", where, perplexity_estimate(*losses)))
    return rows


def unknown(
    system: RACM3, baseline: RACM3, some: Sequence[tuple[Scene, Document]], settings: Settings
) -> list[Row]:
    """What describing loses where the memory lacks the thing: by whatever is nearest, and by what
    is near enough to be read."""
    shelf, documents = system.parts.shelf, [document for _, document in some]
    kept = [row for row, thing in enumerate(things()) if not thing.held_out]
    less = system.remembering(ListShelf(shelf.documents(kept), shelf.rows(kept).vectors))
    questions = [document.only(Image) for document in documents]
    rows, nothing = [], [[] for _ in documents]  # type: list[Row], list[list[Document]]
    plain = perplexity_estimate(
        *perplexity.document_losses(baseline.voice, documents, nothing, Kind.TEXT)
    )
    for label, least in (("", None), (", near enough", settings.least)):
        how = replace(settings, documents=2, least=least)
        found = [less.consult(question, how) for question in questions]
        shown = [[one.document for one in read] for read in found]
        losses = perplexity.document_losses(system.voice, documents, shown, Kind.TEXT)
        name, where = f"text perplexity, K = 2{label}", "held-out things that the memory lacks"
        rows.append(Row(name, where, perplexity_estimate(*losses), plain))
    return rows
