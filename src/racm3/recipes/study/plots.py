"""Where people would rather look than read: a table's curve, and what was drawn for it."""

import textwrap
from pathlib import Path
from typing import Any

from racm3.evaluation.report import Estimate
from racm3.recipes.study.asked import answer
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.learnt import parameters
from racm3.recipes.study.plan import answerable
from racm3.recipes.study.rows import PARAMETERS, Row, Table
from racm3.recipes.study.verdicts import seeded
from racm3.recipes.study.worlds import World

COLUMNS = 8


def plot(
    one: Table, found: dict[str, dict[str, Estimate]], world: World, budget: Budget, path: Path
) -> Path | None:
    """The table's first metric along its curve, one line for each kind of row."""
    metric, lines = one.metrics[0], dict[str, list[tuple[float, Estimate]]]()
    for row in one.rows:
        at, value = _place(one, row, world, budget), found.get(row.label, {}).get(metric)
        if at is not None and value is not None:
            lines.setdefault(row.line or one.title, []).append((at, value))
    if not one.curve or sum(map(len, lines.values())) < 3:
        return None
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    for name, points in lines.items():
        x = [at for at, _ in points]
        y = [value.value for _, value in points]
        error = [
            [value.value - value.low for _, value in points],
            [value.high - value.value for _, value in points],
        ]
        axes.errorbar(x, y, yerr=error, marker="o", capsize=3, label=name)
    axes.set_xlabel(one.curve)
    axes.set_ylabel(metric)
    axes.legend(frameon=False)
    return _saved(figure, path)


def _place(one: Table, row: Row, world: World, budget: Budget) -> float | None:
    """Where a row stands on the horizontal axis."""
    learnt = row.asked[0].learnt
    if one.curve == PARAMETERS and learnt:
        return parameters(learnt, world, budget) / 1e6
    return row.at


def gallery(one: Table, world: World, budget: Budget, folder: Path, path: Path) -> Path | None:
    """The first pictures that every row drew, under their captions; None where nothing was drawn.

    Where the world's documents may not be passed on, neither captions nor the memory's pictures
    are shown.
    """
    lines = {}
    for row in one.rows:
        for asked in row.asked:
            private = asked.learnt is None and world.private
            if asked.measure == "drawings" and answerable(asked, world, budget) and not private:
                lines[row.label] = answer(seeded(asked, budget)[0], world, budget, folder)
    if not all("pictures" in line for line in lines.values()) or not lines:
        return None
    pyplot, count = _pyplot(), min(COLUMNS, budget.drawings, len(world.unseen))
    figure, axes = pyplot.subplots(
        len(lines), count, figsize=(1.2 * count, 1.3 * len(lines) + 0.6),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for line, (label, found) in zip(axes, lines.items(), strict=True):
        line[0].set_ylabel(textwrap.fill(label, 14), fontsize=7)
        for number, cell in enumerate(line):
            cell.imshow(found["pictures"][number])
            cell.set(xticks=[], yticks=[])
    for number, (cell, document) in enumerate(zip(axes[0], world.unseen, strict=False)):
        title = f"no. {number}" if world.private else textwrap.fill(document.text, 20)
        cell.set_title(title, fontsize=6)
    return _saved(figure, path)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def _saved(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    _pyplot().close(figure)
    return path
