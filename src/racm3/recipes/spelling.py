"""Names that are spelt of every id of a text tokenizer.

A name is copied id by id. One that no lesson copies is misspelt, however often others were: of
8,000 names made of words and syllables two had the last id of *synagogue* (docs/log.md).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from racm3.tokens.text import TextTokenizer

# How many words a name has, and how many ids follow a word's first one.
WORDS, FURTHER = (0.4, 0.4, 0.2), (0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True)
class Spelling:
    """Names of ids that are drawn at random, each as often as another.

    Args:
        text: Whose ids.
        share: How many things have such names; the others have none from here.
    """

    text: TextTokenizer
    share: float

    def __call__(self, rng: np.random.Generator) -> str | None:
        """A name, if the dice say so."""
        return self.name(rng) if rng.random() < self.share else None

    def name(self, rng: np.random.Generator) -> str:
        """A name that the tokenizer takes for the ids that were drawn."""
        while True:
            ids = [one for _ in range(_of(WORDS, rng) + 1) for one in self._word(rng)]
            name = self.text.decode(ids, follows=True)
            if self.text.encode(name, follows=True) == ids:
                return name.removeprefix(" ")

    def _word(self, rng: np.random.Generator) -> list[int]:
        first, further = self.pieces
        return [int(rng.choice(first)), *rng.choice(further, _of(FURTHER, rng)).tolist()]

    @cached_property
    def pieces(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids that begin words, and those that go on: letters and digits."""
        said = {one: self.text.decode([one], follows=True) for one in range(len(self.text))}
        first = (one for one, piece in said.items() if piece[:1] == " " and piece[1:].isalnum())
        further = (one for one, piece in said.items() if piece.isalnum())
        return tuple(first), tuple(further)


def _of(chances: tuple[float, ...], rng: np.random.Generator) -> int:
    return int(rng.choice(len(chances), p=chances))
