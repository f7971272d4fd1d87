"""What a table is made of: rows that ask, and orders that are claimed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from racm3.recipes.study.asked import Asked
from racm3.recipes.study.learnt import TRAINED, Learnt

# A distance is named for what it compares pictures by; only Inception may be called FID.
FRECHET, KERNEL = "frechet[image-tokenizer]", "kernel distance[image-tokenizer]"
PERPLEXITIES = ("image perplexity", "text perplexity")
PARAMETERS = "parameters (millions)"


@dataclass(frozen=True)
class Row:
    """One line of a table: its questions, and the papers' numbers by metric.

    `at` is where it stands on the table's curve, on which `line`.
    """

    label: str
    asked: tuple[Asked, ...]
    paper: dict[str, float] = field(default_factory=dict)
    at: float | None = None
    line: str = ""


@dataclass(frozen=True)
class Claim:
    """An order that the paper reports: `better` beats `worse` by this metric."""

    metric: str
    better: str
    worse: str


@dataclass(frozen=True)
class Table:
    """One comparison.

    Args:
        curve: The horizontal axis of its plot: what the rows are `at`, or PARAMETERS.
        ours: Whether we claim its orders; those of the papers are counted without them.
    """

    name: str
    title: str
    source: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    curve: str = ""
    ours: bool = False

    @property
    def learnt(self) -> list[Learnt]:
        """The generators that it asks."""
        asked = [one.learnt for row in self.rows for one in row.asked]
        return list(dict.fromkeys(one for one in asked if one))

    @property
    def needs_training(self) -> bool:
        """Whether a finished system, which has RA-CM3 and CM3 alone, cannot answer it."""
        return not set(self.learnt) <= set(TRAINED)


def perplexity_row(label: str, asked: Asked, image: float = 0, text: float = 0) -> Row:
    paper = {"image perplexity": image, "text perplexity": text} if image else {}
    return Row(label, (asked,), paper)


def claims(metrics: Sequence[str], better: str, *worse: str) -> tuple[Claim, ...]:
    return tuple(Claim(metric, better, other) for other in worse for metric in metrics)


def drawn(asked: Asked) -> Asked:
    return replace(asked, measure="drawings")


def described(asked: Asked) -> Asked:
    return replace(asked, measure="captions")
