"""k-shot classification with labels that mean nothing (RA-CM3 §4.5, Fig. 8)."""

from collections.abc import Sequence
from typing import NamedTuple

from racm3.document import Image
from racm3.errors import ConfigError
from racm3.runtime import dice
from racm3.system import RACM3, Settings
from racm3.system.fewshot import By
from racm3.system.many import numbered

LABELS = ("dax", "blicket")


class Episode(NamedTuple):
    """Two classes under meaningless labels; one more picture of the class called `right`."""

    examples: dict[str, list[Image]]
    picture: Image
    right: str


def episodes(classes: Sequence[Sequence[Image]], count: int, *, k: int, seed: int) -> list[Episode]:
    """Random pairs of classes, k examples of each, labels dealt at random."""
    if len(classes) < 2 or min(map(len, classes)) <= k:
        raise ConfigError(f"{k}-shot needs at least two classes of at least {k + 1} pictures")
    found = []
    for number in range(count):
        rng = dice(seed, 51, number)
        pair = rng.choice(len(classes), 2, replace=False)
        asked = int(rng.integers(2))
        examples, picture = {}, None
        for position, (label, row) in enumerate(zip(rng.permutation(LABELS), pair, strict=True)):
            chosen = [classes[row][i] for i in rng.choice(len(classes[row]), k + 1, replace=False)]
            examples[str(label)] = chosen[:k]
            if position == asked:
                picture, right = chosen[k], str(label)
        assert picture is not None
        found.append(Episode(examples, picture, right))
    return found


def right_answers(
    system: RACM3, some: Sequence[Episode], settings: Settings | None = None, *, by: By = "picture"
) -> list[float]:
    """1 where the more probable label is the right one; its mean is the accuracy."""

    def right(number: int) -> float:
        one = some[number]
        shares = system.classify(one.picture, one.examples, settings, by=by).probabilities
        return float(max(shares, key=lambda label: shares[label]) == one.right)

    return list(numbered(system, len(some), right, label="few-shot"))
