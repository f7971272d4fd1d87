"""Numbers with their uncertainty, and tables of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from racm3.runtime import dice

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% bootstrap interval over `count` samples."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"

    def to_json(self) -> dict[str, float]:
        return asdict(self)


class Row(NamedTuple):
    measure: str
    on: str
    racm3: Estimate
    cm3: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        cm3 = self.cm3.to_json() if self.cm3 else None
        return {"measure": self.measure, "on": self.on, "racm3": self.racm3.to_json(), "cm3": cm3}

    @classmethod
    def of(cls, about: dict[str, Any]) -> "Row":
        """Back from JSON."""
        cm3 = Estimate(**about["cm3"]) if about["cm3"] else None
        return cls(about["measure"], about["on"], Estimate(**about["racm3"]), cm3)


def mean(samples: Sequence[float], *, seed: int = 0) -> Estimate:
    """Mean with a percentile bootstrap interval."""
    values = np.asarray(samples, dtype=np.float64)
    return interval(values.mean(), values[_resamples(len(values), seed)].mean(axis=1), len(values))


def share(part: Sequence[float], whole: Sequence[float], *, seed: int = 0) -> Estimate:
    """Right answers as a share of those that another one got right, on the same samples."""
    mine, theirs = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    rows = _resamples(len(mine), seed)
    drawn = mine[rows].sum(axis=1) / np.maximum(theirs[rows].sum(axis=1), 1)
    return interval(mine.sum() / max(theirs.sum(), 1), drawn, len(mine))


def perplexity(
    losses: Float[np.ndarray, " docs"], counts: Float[np.ndarray, " docs"], *, seed: int = 0
) -> Estimate:
    """exp(sum of losses / sum of counts), resampling whole documents."""
    rows = _resamples(len(losses), seed)
    drawn = np.exp(losses[rows].sum(axis=1) / counts[rows].sum(axis=1))
    return interval(float(np.exp(losses.sum() / counts.sum())), drawn, len(losses))


def _resamples(count: int, seed: int) -> np.ndarray:
    return dice(seed, 77).integers(count, size=(RESAMPLES, count))


def interval(value: float, drawn: np.ndarray, count: int) -> Estimate:
    """A value with the middle 95% of what resampling gave."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high), count)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table; columns are the keys of the first row."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in rows]
    return "\n".join(lines)
