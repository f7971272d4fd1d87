"""Verbs of the study: list, run and report the papers' comparisons."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

from racm3.errors import ConfigError
from racm3.recipes.study import plan
from racm3.recipes.study import report as reports
from racm3.recipes.study.budgets import BUDGETS, Budget
from racm3.recipes.study.worlds import World, photographs, sample_world

Scale = Literal["toy", "20m", "1h", "2h", "3h", "gpu-small", "gpu", "trained", "trained-long"]
Where = Literal["sample", "photographs"]


def list_tables(*, budget: Scale = "2h") -> None:
    """List the tables of the study, with what each costs and claims.

    Args:
        budget: The scale: toy, 20m, 1h, 2h, 3h, gpu-small or gpu; trained asks the generators of
            --system as they are, trained-long on eight times as many drawings,
            one candidate each.
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
    seeds: list[int] | None = None,
) -> None:
    """Train and measure what the tables need; killed at any time, the same command goes on.

    Args:
        tables: Names from `racm3 study list`; all of them where none is given.
        world: sample, or photographs (Flickr8k, whose folder `--data` gives).
        budget: The scale: toy, 20m, 1h, 2h, 3h, gpu-small or gpu; trained asks the generators of
            --system as they are, trained-long on eight times as many drawings,
            one candidate each.
        out: The folder that keeps runs and answers. The same command started again beside the
            first one shares its work: one for every core or card.
        data: The folder of the photographs.
        system: A system folder that lends the sample world's tokenizer and CLIP, and with
            `--budget trained` its generators; the shipped one where none is given.
        seeds: Train every generator once with each of these, instead of the budget's own seeds;
            more can be added later.
    """
    folder, scale = out / world / budget, _budget(budget, seeds)
    there = _world(world, scale, folder, data, system)
    chosen = plan.chosen(tables or [], scale)
    plan.run(chosen, there, scale, folder, tell=lambda words: print(words, flush=True))
    print(f"measured; `racm3 study report --world {world} --budget {budget}` tells what came out")


def pack(
    tables: list[str] | None = None,
    *,
    world: Where = "sample",
    budget: Scale = "gpu",
    out: Path = Path("out/study"),
    into: Path = Path("out/pack"),
    data: Path | None = None,
    system: Path | None = None,
    seeds: list[int] | None = None,
) -> None:
    """Pack what is still to be trained for a machine with a GPU, which needs no data and no CLIP.

    There `python -m racm3.recipes.away train PACK RUNS` trains all of it side by side; copy RUNS
    into OUT/WORLD/BUDGET/runs, and `racm3 study run` measures.

    Args:
        tables: Names from `racm3 study list`; all of them where none is given.
        world: sample, or photographs (Flickr8k, whose folder `--data` gives).
        budget: The scale: toy, 20m, 1h, 2h, 3h, gpu-small or gpu.
        out: The folder that keeps runs and answers.
        into: The folder to copy to the other machine.
        data: The folder of the photographs.
        system: A system folder that lends the sample world's tokenizer and CLIP.
        seeds: Train every generator once with each of these, instead of the budget's own seeds.
    """
    folder, scale = out / world / budget, _budget(budget, seeds)
    there = _world(world, scale, folder, data, system)
    count = plan.pack(plan.chosen(tables or [], scale), there, scale, folder, into)
    print(f"{count} runs in {into}; bring back what they become to {folder / 'runs'}")


def report(
    tables: list[str] | None = None,
    *,
    world: Where = "sample",
    budget: Scale = "20m",
    out: Path = Path("out/study"),
    data: Path | None = None,
    system: Path | None = None,
    seeds: list[int] | None = None,
    results: Path = Path("docs/results"),
) -> None:
    """Write tables with intervals, the papers' numbers, verdicts and plots.

    Args:
        tables: Names from `racm3 study list`; all of them where none is given.
        world: sample, or photographs.
        budget: The scale that was run: toy, 20m, 1h, 2h, 3h, gpu-small, gpu, trained
            or trained-long.
        out: The folder that keeps runs and answers.
        data: The folder of the photographs.
        system: The system folder that was used.
        seeds: The training seeds that are reported, instead of the budget's own.
        results: Where the report goes.
    """
    folder, scale = out / world / budget, _budget(budget, seeds)
    there = _world(world, scale, folder, data, system)
    told = ["racm3 study run --world", world]
    # The folder's own path is nobody else's.
    told += ["--data FLICKR8K"] if data else []
    told += ["--budget", budget]
    told += ["--seeds", *map(str, seeds)] if seeds else []
    told += ["--tables", *tables] if tables else []
    told += ["--system", str(system)] if system else []
    written = reports.write(
        plan.chosen(tables or [], scale),
        there,
        scale,
        folder,
        results,
        name=f"study-{world}-{budget}",
        about={"command": " ".join(told), "world": world, "budget": budget},
    )
    print(written)


def _budget(name: Scale, seeds: list[int] | None) -> Budget:
    budget = BUDGETS[name]
    if seeds and budget.trained:
        raise ConfigError(f"--budget {name} trains nothing; leave --seeds out")
    return replace(budget, seeds=tuple(dict.fromkeys(seeds))) if seeds else budget


def _world(
    world: Where, budget: Budget, folder: Path, data: Path | None, system: Path | None
) -> World:
    if world == "sample":
        return sample_world(budget, system=system)
    if budget.trained:
        raise ConfigError("--budget trained asks a system of the sample world; leave --world out")
    if data is None:
        raise ConfigError("photographs need --data, the folder of Flickr8k's Parquet files")
    print("reading photographs", file=sys.stderr)
    return photographs(budget, folder, data)
