"""From answers to numbers with intervals, and from claims to verdicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from racm3.evaluation.frechet import frechet, kernel_distance
from racm3.evaluation.report import Estimate, interval
from racm3.recipes.study.asked import Answers, Asked, answer
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.rows import FRECHET, KERNEL, Claim, Row, Table
from racm3.recipes.study.worlds import World
from racm3.runtime import dice

DRAWS = 400
DISTANCE_DRAWS = 200
# Scores may be 0, and a centred distance may fall below: neither can be divided by.
LEAST, LEAST_RATIO = 1e-9, 1e-6
Rows = np.ndarray
Verdict = Literal["reproduced", "not resolved", "contradicted", "not measured"]


@dataclass(frozen=True)
class Metric:
    """How a number is made of the answers of some documents."""

    needs: str
    of: Callable[[Answers, Rows], float]
    lower_is_better: bool = False
    draws: int = DRAWS
    distance: bool = False


def _perplexity(kind: str) -> Metric:
    def of(found: Answers, rows: Rows) -> float:
        losses, counts = found[f"{kind}_losses"][rows], found[f"{kind}_counts"][rows]
        return float(np.exp(losses.sum() / counts.sum()))

    return Metric(f"{kind}_losses", of, lower_is_better=True)


def _mean(name: str) -> Metric:
    return Metric(name, lambda found, rows: float(found[name][rows].mean()))


def _bits(found: Answers, rows: Rows) -> float:
    """Of the codes, for every colour value of the picture that they stand for."""
    return float(found["image_losses"][rows].sum() / found["image_values"][rows].sum() / np.log(2))


def _distance(between: Callable[[np.ndarray, np.ndarray], float]) -> Metric:
    def of(found: Answers, rows: Rows) -> float:
        return between(found["features"][rows], found["real_features"])

    return Metric("features", of, lower_is_better=True, draws=DISTANCE_DRAWS, distance=True)


METRICS = {
    "image perplexity": _perplexity("image"),
    "text perplexity": _perplexity("text"),
    FRECHET: _distance(frechet),
    KERNEL: _distance(kernel_distance),
    "image bits per dimension": Metric("image_losses", _bits, lower_is_better=True),
    "accuracy": _mean("right"),
    "copied in place": _mean("copied_in_place"),
    "copied blocks": _mean("copied_blocks"),
    "nearest in memory": _mean("nearest_in_memory"),
    **{
        name: _mean(name)
        for name in (
            "clipscore", "fidelity", "cider-d", "bleu-4", "rouge-l", "named",
            "recall by text", "recall by image",
        )
    },
}  # fmt: skip


def seeded(asked: Asked, budget: Budget) -> list[Asked]:
    """The same question to the generators of every seed."""
    if asked.learnt is None:
        return [asked]
    learnt = asked.learnt
    return [replace(asked, learnt=replace(learnt, seed=seed)) for seed in budget.seeds]


def answers(row: Row, metric: str, world: World, budget: Budget, folder: Path) -> list[Answers]:
    """One for every seed that has the metric; none where the world cannot give it."""
    found = [
        answer(one, world, budget, folder) for asked in row.asked for one in seeded(asked, budget)
    ]
    return [one for one in found if METRICS[metric].needs in one]


def _size(found: Sequence[Answers], metric: Metric) -> int:
    return len(found[0][metric.needs])


def estimate(found: Sequence[Answers], name: str, *, among: Rows | None = None) -> Estimate:
    """The mean over seeds, its interval by resampling seeds and documents.

    Args:
        found: Answers, one for every seed.
        name: The metric.
        among: The numbers of the documents that count; all of them where it is not said.
    """
    metric = METRICS[name]
    every = np.arange(_size(found, metric))
    every = every if among is None else np.intersect1d(every, among)
    rng, count = dice(0, 78), len(every)
    drawn = [every[rng.integers(count, size=count)] for _ in range(metric.draws)]
    known, values = _resampled(found, metric, every, drawn, rng.random((len(drawn), len(found))))
    return interval(known.mean(), values, count * len(found))


def _resampled(
    found: Sequence[Answers],
    metric: Metric,
    every: Rows,
    drawn: Sequence[Rows],
    chance: Float[np.ndarray, "draws seeds"],
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " draws"]]:
    """Each seed's value among all documents; the mean over seeds in each resample of both.

    Seeds are drawn by `chance`, so that who is given the same one draws the same seeds. Resampling
    repeats pictures, which makes a distance larger: it is centred again.
    """
    known = np.array([metric.of(one, every) for one in found])
    values = np.array([[metric.of(one, rows) for one in found] for rows in drawn])
    if metric.distance:
        values += known - values.mean(axis=0)
    seeds = (chance[:, : len(found)] * len(found)).astype(int)
    return known, np.take_along_axis(values, seeds, axis=1).mean(axis=1)


@dataclass(frozen=True)
class Compared:
    """`ratio` is better over worse; its interval decides. `paper` is the papers' own.

    `seeds` are the ratios of the single training runs, where there are several.
    """

    claim: Claim
    verdict: Verdict
    ratio: Estimate | None
    paper: float | None = None
    seeds: tuple[float, ...] = ()


def compare(claim: Claim, better: Sequence[Answers], worse: Sequence[Answers]) -> Compared:
    """The same documents and seeds are resampled on both sides: what they share cancels."""
    metric = METRICS[claim.metric]
    if not better or not worse:
        return Compared(claim, "not measured", None)
    count = min(_size(better, metric), _size(worse, metric))

    rng, every = dice(0, 79), np.arange(count)
    resamples = [rng.integers(count, size=count) for _ in range(metric.draws)]
    chance = rng.random((len(resamples), max(len(better), len(worse))))
    (one, ones), (other, others) = (
        _resampled(side, metric, every, resamples, chance) for side in (better, worse)
    )
    found = interval(float(_ratio(one.mean(), other.mean())), _ratio(ones, others), count)
    paired = len(better) == len(worse) > 1
    seeds = tuple(map(float, _ratio(one, other))) if paired else ()
    below, above = found.high < 1, found.low > 1
    holds, fails = (below, above) if metric.lower_is_better else (above, below)
    verdict: Verdict = "reproduced" if holds else "contradicted" if fails else "not resolved"
    return Compared(claim, verdict, found, seeds=seeds)


def _ratio(one: Any, other: Any) -> Any:
    """Nothing over nothing is 1, nothing over something 0."""
    found = np.maximum(one, LEAST) / np.maximum(other, LEAST)
    return np.where(found < LEAST_RATIO, 0.0, found)


def judge(table: Table, world: World, budget: Budget, folder: Path) -> list[Compared]:
    by_label, found = {row.label: row for row in table.rows}, []
    for claim in table.claims:
        rows = by_label[claim.better], by_label[claim.worse]
        given = (answers(row, claim.metric, world, budget, folder) for row in rows)
        theirs = [row.paper.get(claim.metric) for row in rows]
        paper = theirs[0] / theirs[1] if theirs[0] and theirs[1] else None
        found.append(replace(compare(claim, *given), paper=paper))
    return found
