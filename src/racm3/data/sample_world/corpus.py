"""What each part of the sample system learns from, as functions of a seed and a number.

Who may see what: the image tokenizer, the generator and its text tokenizer meet seen things only.
The small CLIP meets all of them, as the real CLIP has met the web.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.data.sample_world.fictional import LOOKS, fictional_things, looked, other_look
from racm3.data.sample_world.scenes import USUAL, Chances, Scene
from racm3.data.sample_world.things import SIZES, Thing, held_out_things, seen_things, things
from racm3.document import Document, Image
from racm3.runtime import dice
from racm3.tokens.image import to_pixels

PICTURES, UNSEEN, PAIRS, CAPTIONS, SCENES, SHOTS, VARIED, TWINS = 1, 2, 7, 8, 11, 61, 71, 91
CROWDED = 93
PAIRED = 0.35
FAMILY = 16


@cache
def displayed(thing: Thing) -> Document:
    """A thing of the pack as the memory holds it, drawn once."""
    return thing.document()


@cache
def memory(kind: str) -> tuple[Document, ...]:
    """Every thing as the memory holds it; `seen` leaves out the held-out ones."""
    chosen = {"all": things(), "seen": seen_things(), "held_out": held_out_things()}[kind]
    return tuple(map(displayed, chosen))


def tokenizer_pictures(step: int, *, batch: int) -> Float[Tensor, "batch 3 side side"]:
    """Scenes of seen things, and one in five a seen thing as the memory shows it."""
    rng, seen, shown = dice(PICTURES, step), seen_things(), memory("seen")
    pictures = []
    for _ in range(batch):
        if rng.random() < 0.2:
            pictures.append(shown[rng.integers(len(seen))].images[0])
        else:
            pictures.append(Scene.random(seen, rng).draw())
    return to_pixels(pictures)


def varied_pictures(step: int, *, batch: int) -> Float[Tensor, "batch 3 side side"]:
    """The same with more that is hard: scenes of two things, and of fictional ones."""
    rng, shown, fictional = dice(VARIED, step), memory("seen"), fictional_looks()
    pictures = []
    for _ in range(batch):
        if rng.random() < 0.15:
            images = shown[rng.integers(len(shown))].images
            pictures.append(images[rng.integers(len(images))])
        else:
            which = fictional if rng.random() < 0.4 else seen_things()
            pictures.append(Scene.random(which, rng, count=1 + int(rng.random() < PAIRED)).draw())
    return to_pixels(pictures)


def pictures_beside_look_alikes(
    step: int, *, batch: int, rivals: int
) -> tuple[Float[Tensor, "batch 3 side side"], Float[Tensor, "batch rivals 3 side side"]]:
    """Pictures of seen things, and each with what looks like the thing in its place.

    Seven in ten have all of these turned and recoloured alike, so that there are ever new twins. Of
    two things every other picture has them in the second's place.
    """
    rng, seen, families = dice(TWINS, step), seen_things(), look_alikes("seen")
    pictures, others = [], []
    for number in range(batch):
        itself, *family = families[rng.integers(len(families))]
        near = np.minimum(rng.geometric(0.3, rivals) - 1, len(family) - 1)
        look = other_look(rng) if rng.random() < 0.7 else LOOKS[0]
        one, *twins = (
            replace(seen[row], rgba=looked(seen[row].rgba, look))
            for row in (itself, *(family[place] for place in near))
        )
        if rng.random() < 0.15:
            size = list(SIZES.values())[rng.integers(len(SIZES))]
            shown, *instead = (thing.on_white(size) for thing in (one, *twins))
        else:
            scene = Scene.random(seen, rng, count=1 + int(rng.random() < PAIRED))
            place = number % len(scene.things)
            before, after = scene.things[:place], scene.things[place + 1 :]
            shown, *instead = (
                scene.showing(*before, thing, *after).draw() for thing in (one, *twins)
            )
        pictures.append(shown)
        others.append(to_pixels(instead))
    return to_pixels(pictures), torch.stack(others)


@cache
def fictional_looks() -> tuple[Thing, ...]:
    return fictional_things(seen_things(), 3000, seed=5)


def crowded(step: int, *, batch: int) -> list[Scene]:
    """Scenes of all things, one in every other, two, three or four in the rest."""
    rng = dice(CROWDED, step)
    return [
        Scene.random(things(), rng, count=1 if row % 2 else 2 + row // 2 % 3)
        for row in range(batch)
    ]


def unseen_pictures(count: int) -> Float[Tensor, "count 3 side side"]:
    """Scenes of held-out things, for validation."""
    rng = dice(UNSEEN, 0)
    return to_pixels([Scene.random(held_out_things(), rng).draw() for _ in range(count)])


def clip_pairs(step: int, *, batch: int) -> list[Document]:
    """Names or captions, each with a scene and with a thing that both name.

    Every document is another thing's. Half of them come in families of things that look alike: what
    is hard to tell apart is met side by side.
    """
    rng, every = dice(PAIRS, step), things()
    families = look_alikes()[rng.permutation(len(every))[: batch // (2 * FAMILY)]]
    rows = dict.fromkeys([*families.ravel().tolist(), *rng.permutation(len(every)).tolist()])
    return [_pair(every[row], rng) for row in list(rows)[:batch]]


def _pair(thing: Thing, rng: np.random.Generator) -> Document:
    scene = Scene.random(things(), rng, count=1 if rng.random() < 0.7 else 2)
    shown, said, place = thing.document(), rng.random(), rng.integers(len(scene.things))
    alone = len(set(scene.things)) == 1
    scene = scene.showing(
        *(thing if alone or i == place else other for i, other in enumerate(scene.things))
    )
    text = scene.caption(rng) if said < 0.5 else thing.name if said < 0.8 else shown.text
    return Document.of(text, scene.draw(), shown.images[rng.integers(len(shown.images))])


@cache
def look_alikes(kind: str = "all") -> Int[np.ndarray, "things family"]:
    """The rows of the things nearest to each thing, itself first, by their small pictures."""
    small = [document.images[0].pil().resize((8, 8)) for document in memory(kind)]
    pixels = np.stack([np.asarray(picture, dtype=np.float32) for picture in small])
    flat = pixels.reshape(len(pixels), -1)
    apart = np.square(flat).sum(axis=1) - 2 * flat @ flat.T
    return np.argsort(apart + np.square(flat).sum(axis=1)[:, None], axis=1, kind="stable")[
        :, :FAMILY
    ]


def named_pictures() -> list[Document]:
    return [
        Document.of(thing.name, document.images[0])
        for thing, document in zip(things(), memory("all"), strict=True)
    ]


def captions(kind: str, count: int = 4000) -> list[str]:
    """Texts to fit a text tokenizer to."""
    rng, which = dice(CAPTIONS, 0), things() if kind == "all" else seen_things()
    drawn = [Scene.random(which, rng).caption(rng) for _ in range(count)]
    return drawn + [thing.text for thing in which] * 2


def lessons(
    which: Sequence[Thing],
    count: int,
    *,
    seed: int = 0,
    pairs: float = PAIRED,
    chances: Chances = USUAL,
) -> list[Document]:
    """Scenes to learn drawing and telling from; pairs are harder, so there are more of them."""
    return [
        document for _, document in scenes(which, count, seed=seed, pairs=pairs, chances=chances)
    ]


def scenes(
    which: Sequence[Thing],
    count: int,
    *,
    seed: int,
    things_each: int | None = None,
    pairs: float | None = None,
    chances: Chances = USUAL,
) -> list[tuple[Scene, Document]]:
    """Random scenes with their captions; number i depends on (seed, i) alone.

    A share of `pairs` shows two things where it is said.
    """
    found = []
    for number in range(count):
        rng = dice(SCENES, seed, number)
        each = things_each if pairs is None else 1 + int(rng.random() < pairs)
        scene = Scene.random(which, rng, count=each, chances=chances)
        found.append((scene, scene.document(rng)))
    return found


def classes(count: int = 24, each: int = 9) -> list[list[Image]]:
    """Pictures of held-out things, each in several scenes, to tell apart after a few examples."""
    rng, every = dice(SHOTS), held_out_things()
    chosen = [every[row] for row in rng.choice(len(every), count, replace=False)]
    return [[Scene.random([one], rng, count=1).draw() for _ in range(each)] for one in chosen]
