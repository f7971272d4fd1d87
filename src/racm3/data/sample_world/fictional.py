"""Things that never were: seen pictures turned, mirrored and recoloured, under made-up names.

Nobody meets one often enough to learn it by heart: who is to draw it, or to say its name, can only
read. The generator learns from them what a memory is for.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, permutations, product

import numpy as np
from jaxtyping import UInt8

from racm3.data.sample_world.things import Thing, things
from racm3.runtime import dice

FICTION, SPELT = 23, 79
FLAG = "flag of "
ONSETS = (*"bcdfghjklmnprstvwz", "br", "dr", "gr", "pl", "st", "tr")
VOWELS = (*"aeiou", "ai", "ea", "ou")
CODAS = ("", "", "", *"lmnrst")
Look = tuple[int, bool, tuple[int, ...]]
# A name, or none where it is to be made of words and syllables.
Namer = Callable[[np.random.Generator], str | None]
LOOKS: tuple[Look, ...] = tuple(product(range(4), (False, True), permutations(range(3))))


def no_name(rng: np.random.Generator) -> None:
    """Leaves every name to words and syllables."""


def fictional_things(
    of: Sequence[Thing], count: int, *, seed: int = 0, namer: Namer = no_name
) -> tuple[Thing, ...]:
    """`count` things with names of their own, some of which another namer may give them; number i
    does not depend on how many there are."""
    taken = {thing.name for thing in things()}
    countries, words = vocabulary(of)
    made = []
    for number in range(count):
        rng = dice(seed, FICTION, number)
        real = of[int(rng.integers(len(of)))]
        rgba, flag = looked(real.rgba, other_look(rng)), real.name.startswith(FLAG)
        names = map(_flag, _names(countries, rng)) if flag else _names(words, rng)
        if (given := namer(dice(seed, SPELT, number))) is not None:
            names = chain([f"{FLAG * flag}{given}"], names)
        name = next(name for name in names if name not in taken)
        taken.add(name)
        made.append(Thing(name, real.keywords, real.group, False, rgba))
    return tuple(made)


def vocabulary(of: Sequence[Thing]) -> tuple[list[str], list[str]]:
    """The words of these things' names: of flags, and of all others."""
    flags = [thing.name.startswith(FLAG) for thing in of]
    countries, words = (
        sorted({word for thing, flag in zip(of, flags, strict=True) if flag is which
                for word in thing.name.removeprefix(FLAG).split() if word.strip("()") == word})
        for which in (True, False)
    )  # fmt: skip
    return countries, words


def other_look(rng: np.random.Generator) -> Look:
    """Any but the one that things have."""
    return LOOKS[rng.integers(1, len(LOOKS))]


def looked(rgba: UInt8[np.ndarray, "side side 4"], look: Look) -> UInt8[np.ndarray, "side side 4"]:
    """Pixels turned by so many quarters, mirrored or not, their colours in another order."""
    turns, mirrored, channels = look
    pixels = np.rot90(rgba[:, ::-1] if mirrored else rgba, turns)
    return np.ascontiguousarray(pixels[..., [*channels, 3]])


def _flag(country: str) -> str:
    return FLAG + country.title()


def _names(words: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """A word that is none, or words of others in a new order; each of these is as likely."""
    while True:
        count = 1 + int(rng.choice(3, p=(0.4, 0.4, 0.2)))
        anew = [count == 1 or rng.random() < 0.3 for _ in range(count)]
        yield " ".join(coined(words, rng) if one else str(rng.choice(words)) for one in anew)


def coined(words: Sequence[str], rng: np.random.Generator) -> str:
    """Syllables, or the beginning of one word and the end of another: all that names are spelt of
    is met in new surroundings."""
    if rng.random() < 0.5:
        return _word(rng)
    first, second = (str(rng.choice(words)) for _ in range(2))
    cut, rest = rng.integers(1, len(first) + 1), rng.integers(len(second))
    return first[:cut] + second[rest:]


def _word(rng: np.random.Generator) -> str:
    syllables = rng.integers(2, 4)
    return "".join(
        str(rng.choice(ONSETS)) + str(rng.choice(VOWELS)) + str(rng.choice(CODAS))
        for _ in range(syllables)
    )
