"""What a memory says of things in words that nobody knows, and whoever asks in these.

No word's meaning can be learnt here, only to tell which words were given: nearly all are coined,
and of a thing's own keywords none is told but those that its text says.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from racm3.data.sample_world.fictional import coined, vocabulary
from racm3.data.sample_world.scenes import COLOURS, Scene
from racm3.data.sample_world.things import SIZES, Thing, things
from racm3.runtime import dice

TOLD = 101
# How often a thing has a made-up name, is asked for by its keywords, and a word is a known one.
RENAMED, BY_KEYWORDS, FAMILIAR = 0.35, 0.65, 0.1
MOST = 5
ASKING = (
    "{words}",
    "{words}",
    "{Words}",
    "a {words}",
    "my {words}",
    "a {size} {words} on a {colour} background",
    "a {words} on a {colour} background",
)


class Told(NamedTuple):
    """A text, and what in it anybody knows: all of it, a part or nothing."""

    text: str
    known: str


def told(step: int, *, entries: int, captions: int) -> list[Told]:
    """Entries of a memory, each before a query for it, then captions.

    A keyword is often another entry's, too, so two of them say more.
    """
    rng, every = dice(TOLD, step), things()
    familiar = vocabulary(every)[1]
    words = [_word(familiar, rng) for _ in range(2 * entries)]
    often = np.arange(1, len(words) + 1) ** -0.7
    lines: list[Told] = []
    for row in rng.permutation(len(every))[:entries]:
        some = rng.choice(words, rng.integers(MOST + 1), p=often / often.sum())
        thing = every[int(row)]
        keywords = [word for word in dict.fromkeys(map(str, some)) if word not in thing.keywords]
        lines += _entry(thing, keywords, familiar, rng)
    return lines + [_caption(every, rng) for _ in range(captions)]


def _entry(
    thing: Thing, keywords: list[str], familiar: Sequence[str], rng: np.random.Generator
) -> tuple[Told, Told]:
    """What the memory says of a thing, and who asks for that."""
    name, text, known = thing.name, thing.text, True
    if rng.random() < RENAMED:
        count = 1 + int(rng.random() < 0.4)
        name = text = " ".join(_word(familiar, rng) for _ in range(count))
        known = False
    says = Told(" ".join([text, ", ".join(keywords)]).strip(), text if known else "")
    if keywords and rng.random() < BY_KEYWORDS:
        some = rng.permutation(keywords)[: rng.integers(1, 5)]
        return says, Told(_asking(" ".join(some), rng), "")
    query = _asking(name, rng)
    return says, Told(query, query if known else "")


def _caption(every: Sequence[Thing], rng: np.random.Generator) -> Told:
    thing, kind = every[int(rng.integers(len(every)))], rng.random()
    text = thing.text if kind < 0.7 else thing.name
    if kind < 0.5:
        text = Scene.random(every, rng, count=1 if rng.random() < 0.6 else 2).caption(rng)
    return Told(text, text)


def _asking(words: str, rng: np.random.Generator) -> str:
    return str(rng.choice(ASKING)).format(
        words=words,
        Words=words[:1].upper() + words[1:],
        size=rng.choice(list(SIZES)),
        colour=rng.choice(list(COLOURS)),
    )


def _word(familiar: Sequence[str], rng: np.random.Generator) -> str:
    return str(rng.choice(familiar)) if rng.random() < FAMILIAR else coined(familiar, rng)
