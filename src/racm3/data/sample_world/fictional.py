"""Things that never were: seen pictures turned, mirrored and recoloured, under made-up names.

Nobody meets one often enough to learn it by heart: who is to draw it, or to say its name, can only
read. The generator learns from them what a memory is for.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations, product

import numpy as np

from racm3.data.sample_world.things import Thing, things
from racm3.runtime import dice

FICTION = 23
FLAG = "flag of "
ONSETS = (*"bcdfghjklmnprstvwz", "br", "dr", "gr", "pl", "st", "tr")
VOWELS = (*"aeiou", "ai", "ea", "ou")
CODAS = ("", "", "", *"lmnrst")
LOOKS = tuple(product(range(4), (False, True), permutations(range(3))))


def fictional_things(of: Sequence[Thing], count: int, *, seed: int = 0) -> tuple[Thing, ...]:
    """`count` things with names of their own; number i does not depend on how many there are."""
    taken = {thing.name for thing in things()}
    words = [thing.name.split() for thing in of if not thing.name.startswith(FLAG)]
    return tuple(_fiction(of, words, dice(seed, FICTION, number), taken) for number in range(count))


def _fiction(
    of: Sequence[Thing], words: list[list[str]], rng: np.random.Generator, taken: set[str]
) -> Thing:
    real = of[int(rng.integers(len(of)))]
    turns, mirrored, channels = LOOKS[rng.integers(1, len(LOOKS))]
    pixels = np.rot90(real.rgba[:, ::-1] if mirrored else real.rgba, turns)
    rgba = np.ascontiguousarray(pixels[..., [*channels, 3]])
    name = next(name for name in _names(real, words, rng) if name not in taken)
    taken.add(name)
    return Thing(name, real.keywords, real.group, False, rgba)


def _names(real: Thing, words: list[list[str]], rng: np.random.Generator) -> Iterator[str]:
    """A flag of no country, a word that is none, or words of other things in a new order."""
    while True:
        if real.name.startswith(FLAG):
            yield FLAG + _word(rng).capitalize()
        elif rng.random() < 0.5:
            yield _word(rng)
        else:
            first, second = (words[rng.integers(len(words))] for _ in range(2))
            yield " ".join([*(first[:-1] or [_word(rng)]), second[-1]])


def _word(rng: np.random.Generator) -> str:
    syllables = rng.integers(2, 4)
    return "".join(
        str(rng.choice(ONSETS)) + str(rng.choice(VOWELS)) + str(rng.choice(CODAS))
        for _ in range(syllables)
    )
