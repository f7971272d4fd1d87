"""What a study will do: which tables a budget can give, what they ask, and doing it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from racm3.errors import ConfigError
from racm3.evaluation.report import table
from racm3.recipes import away
from racm3.recipes.study.asked import Asked, answer, answer_of
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.learnt import (
    TRAINED,
    Learnt,
    every_run,
    job_of,
    learn,
    run_of,
    settled,
)
from racm3.recipes.study.rows import Table
from racm3.recipes.study.tables import TABLES
from racm3.recipes.study.verdicts import seeded
from racm3.recipes.study.worlds import World
from racm3.runtime import load_json, progress, save_json
from racm3.sharing import divide

# So many documents tell one encoder from another of the same name.
FIRST = 1024


def chosen(names: Sequence[str], budget: Budget) -> list[Table]:
    """Tables by name; all that the budget can give where none is named."""
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise ConfigError(f"there is no table {unknown[0]!r}; choose among {', '.join(TABLES)}")
    given = [name for name, one in TABLES.items() if not out_of_reach(one, budget)]
    for name in names:
        if why := out_of_reach(TABLES[name], budget):
            raise ConfigError(f"{name} {why}; choose another --budget, or {', '.join(given)}")
    return [TABLES[name] for name in names or given]


def out_of_reach(one: Table, budget: Budget) -> str:
    """Why this budget cannot give the table; "" where it can."""
    if budget.trained and one.needs_training:
        return "compares generators that a finished system does not have"
    if budget.pretrain and one.name == "finetune":
        return "compares with training from nothing, and every run starts from a CM3"
    return ""


def answerable(asked: Asked, world: World, budget: Budget) -> bool:
    """Few-shot needs classes, and a finished system may have no CM3."""
    if asked.measure == "few-shot" and not world.classes:
        return False
    return not (budget.trained and asked.learnt) or TRAINED.get(asked.learnt) in world.trained


def questions(tables: Sequence[Table], world: World, budget: Budget) -> list[Asked]:
    """Every question of the tables that this world can be asked, once."""
    wanted = dict.fromkeys(
        one
        for table in tables
        for row in table.rows
        for asked in row.asked
        for one in seeded(asked, budget)
    )
    return [one for one in wanted if answerable(one, world, budget)]


def measured_seeds(one: Table, world: World, budget: Budget, folder: Path) -> tuple[int, ...]:
    """The seeds of which every question of a table has been answered.

    Raises:
        ConfigError: There is none.
    """
    found = tuple(
        seed
        for seed in budget.seeds
        if all(
            answer_of(asked, folder).exists()
            for asked in questions([one], world, replace(budget, seeds=(seed,)))
        )
    )
    if not found:
        raise ConfigError(f"{one.name} has not been measured yet; `racm3 study run` does it")
    return found


def claim(folder: Path, world: World, budget: Budget) -> None:
    """Let a folder hold the runs and answers of one study alone; further seeds belong to it.

    Raises:
        ConfigError: It holds those of another one.
    """
    path, mine = folder / "study.json", {"budget": asdict(budget), **identity(world, budget)}
    mine = json.loads(json.dumps(mine))
    theirs = load_json(path) if path.exists() else mine
    for one in (mine, theirs):
        one["budget"].pop("seeds", None)
    if theirs != mine:
        other = next(name for name in mine if theirs.get(name) != mine[name])
        raise ConfigError(
            f"{folder} holds what was measured with another {other}; give another --out, or remove "
            "the folder to measure again"
        )
    save_json(path, mine)


def identity(world: World, budget: Budget) -> dict[str, Any]:
    """What answers depend on, besides the budget and the question.

    Of a system that lends its tokenizer alone the codebook counts, else its generators; of an
    encoder, whatever its name is, what it makes of the memory's first documents.
    """
    unseen = blake2b(digest_size=8)
    for document in world.unseen:
        unseen.update(document.text.encode())
        for picture in document.images:
            unseen.update(picture.pixels.tobytes())
    encoder, system = blake2b(digest_size=8), blake2b(digest_size=8)
    text = blake2b(world.codec.text.tokenizer.to_str().encode(), digest_size=8)
    for block in islice(world.open_memory.blocks(), 1):
        encoder.update(block.vectors[:FIRST].tobytes())
    lent = [model.embed_tokens.weight for _, model in sorted(world.trained.items())]
    if not (budget.trained or budget.pretrain):
        lent = [world.codec.image.vqgan.codebook.vectors]
    for weights in lent:
        system.update(weights.detach().float().cpu().numpy().tobytes())
    return {
        "world": world.name,
        "encoder": f"{world.encoder.name} {encoder.hexdigest()}",
        "memory": world.open_memory.snapshot_name,
        "retriever": asdict(world.retriever),
        "evaluation documents": unseen.hexdigest(),
        "text tokenizer": text.hexdigest(),
        "system": system.hexdigest(),
    }


def needed(tables: Sequence[Table], world: World, budget: Budget) -> list[Learnt]:
    """Every run that the tables compare, once."""
    if budget.trained:
        return []
    runs = [settled(one, world, budget) for table in tables for one in table.learnt]
    return every_run(runs, budget)


def pack(tables: Sequence[Table], world: World, budget: Budget, folder: Path, out: Path) -> int:
    """Put what is not trained yet into `out` for another machine; how many runs that are.

    What `python -m racm3.recipes.away` makes of it there belongs into `folder`'s `runs`.

    Raises:
        ConfigError: Nothing is left to train.
    """
    claim(folder, world, budget)
    runs = needed(tables, world, budget)
    waiting = [one for one in runs if not (run_of(one, folder) / "final").exists()]
    if not waiting:
        raise ConfigError("nothing is left to train: every run of these tables is finished")
    away.pack({one.key: job_of(one, world, budget, folder) for one in waiting}, out)
    return len(waiting)


def run(
    tables: Sequence[Table],
    world: World,
    budget: Budget,
    folder: Path,
    *,
    tell: Callable[[str], None],
) -> None:
    """Train and ask whatever is not there yet; killed at any time, it goes on where it was.

    Several processes may do the same at once: they share the work.
    """
    claim(folder, world, budget)
    wanted = questions(tables, world, budget)
    runs = needed(tables, world, budget)
    for learnt in divide(runs, lambda one: run_of(one, folder)):
        tell(f"run {runs.index(learnt) + 1} of {len(runs)}: {learnt.key}")
        learn(learnt, world, budget, folder)
    asked = divide(wanted, lambda one: answer_of(one, folder))
    for one in progress(asked, label="questions", total=len(wanted)):
        answer(one, world, budget, folder)


def listing(names: Sequence[str], budget: Budget) -> str:
    """What each table compares, and how many runs and questions it costs."""
    rows = []
    for one in chosen(names, budget):
        asked = dict.fromkeys(a for row in one.rows for a in row.asked)
        runs = [] if budget.trained else every_run(one.learnt, budget)
        rows.append(
            {
                "table": one.name,
                "what": one.title,
                "source": one.source,
                "runs": len(runs),
                "questions": sum(len(seeded(a, budget)) for a in asked),
                "orders claimed": len(one.claims),
            }
        )
    every = [learnt for one in chosen(names, budget) for learnt in one.learnt]
    total = [] if budget.trained else every_run(every, budget)
    return table(rows) + f"\n\n{len(total)} runs in all: tables share them."


def cost(tables: Sequence[Table], budget: Budget, world: World) -> str:
    """What stands behind the numbers, as sentences."""
    measures = {one.measure for table in tables for row in table.rows for one in row.asked}
    asked = f"{len(world.unseen)} unseen documents"
    if {"drawings", "captions"} & measures:
        asked += f", {min(budget.drawings, len(world.unseen))} of them drawn or described"
    if "few-shot" in measures and world.classes:
        asked += f"; {budget.episodes} few-shot episodes for every k"
    if budget.trained:
        first = "The generators of a finished system, as they are; nothing was trained for this."
        return f"{first} {asked}."
    first = ", each from the same trained CM3 (RA-CM3, §D.2)" if budget.pretrain else ""
    seeds = ", ".join(map(str, budget.seeds))
    return f"Training seeds {seeds}; {budget.steps} updates a run{first}. {asked}."
