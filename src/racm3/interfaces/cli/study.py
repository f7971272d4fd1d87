"""Verbs of the study: list, run and report the papers' comparisons."""

import sys
from pathlib import Path
from typing import Literal

from racm3.errors import ConfigError
from racm3.recipes.study import plan
from racm3.recipes.study import report as reports
from racm3.recipes.study.budgets import BUDGETS, Budget
from racm3.recipes.study.worlds import World, photographs, sample_world

Scale = Literal["toy", "20m", "2h", "gpu", "trained"]
Where = Literal["sample", "photographs"]


def list_tables(*, budget: Scale = "2h") -> None:
    """List the tables of the study, with what each costs and claims.

    Args:
        budget: The scale: toy, 20m, 2h or gpu; trained asks the generators of --system as they are.
    """
    print(plan.listing([], BUDGETS[budget]))


def run(
    tables: list[str] | None = None,
    *,
    world: Where = "sample",
    budget: Scale = "20m",
    out: Path = Path("out/study"),
    data: Path | None = None,
    system: Path | None = None,
) -> None:
    """Train and measure what the tables need; killed at any time, the same command goes on.

    Args:
        tables: Names from `racm3 study list`; all of them where none is given.
        world: sample, or photographs (Flickr8k, whose folder `--data` gives).
        budget: The scale: toy, 20m, 2h or gpu; trained asks the generators of --system as they are.
        out: The folder that keeps runs and answers.
        data: The folder of the photographs.
        system: A system folder that lends the sample world's tokenizer and CLIP, and with
            `--budget trained` its generators; the shipped one where none is given.
    """
    folder = out / world / budget
    there = _world(world, BUDGETS[budget], folder, data, system)
    chosen = plan.chosen(tables or [], BUDGETS[budget])
    plan.run(chosen, there, BUDGETS[budget], folder, tell=lambda words: print(words, flush=True))
    print(f"measured; `racm3 study report --world {world} --budget {budget}` tells what came out")


def report(
    tables: list[str] | None = None,
    *,
    world: Where = "sample",
    budget: Scale = "20m",
    out: Path = Path("out/study"),
    data: Path | None = None,
    system: Path | None = None,
    results: Path = Path("docs/results"),
) -> None:
    """Write tables with intervals, the papers' numbers, verdicts and plots.

    Args:
        tables: Names from `racm3 study list`; all of them where none is given.
        world: sample, or photographs.
        budget: The scale that was run: toy, 20m, 2h, gpu or trained.
        out: The folder that keeps runs and answers.
        data: The folder of the photographs.
        system: The system folder that was used.
        results: Where the report goes.
    """
    folder = out / world / budget
    there = _world(world, BUDGETS[budget], folder, data, system)
    names = " ".join(["--tables", *tables] if tables else [])
    # The folder's own path is nobody else's.
    where = "--data FLICKR8K" if data else ""
    told = " ".join(f"racm3 study run --world {world} {where} --budget {budget} {names}".split())
    written = reports.write(
        plan.chosen(tables or [], BUDGETS[budget]),
        there,
        BUDGETS[budget],
        folder,
        results,
        name=f"study-{world}-{budget}",
        about={"command": told, "world": world, "budget": budget},
    )
    print(written)


def _world(
    world: Where, budget: Budget, folder: Path, data: Path | None, system: Path | None
) -> World:
    if world == "sample":
        return sample_world(budget, folder, system=system)
    if budget.trained:
        raise ConfigError("--budget trained asks a system of the sample world; leave --world out")
    if data is None:
        raise ConfigError("photographs need --data, the folder of Flickr8k's Parquet files")
    print("reading photographs", file=sys.stderr)
    return photographs(budget, folder, data)
