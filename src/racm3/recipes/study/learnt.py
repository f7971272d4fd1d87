"""Generators that a study compares: each is RA-CM3's recipe with a few values changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from racm3.data.prepared import Prepared
from racm3.data.stream import Stream, StreamConfig
from racm3.errors import ConfigError
from racm3.model.config import GeneratorConfig
from racm3.model.export import open_generator
from racm3.model.transformer import Transformer
from racm3.recipes.collection import Beginning
from racm3.recipes.job import Job
from racm3.recipes.lessons import prepare_lessons
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.worlds import World
from racm3.retrieval.config import RetrieverConfig
from racm3.sharing import alone
from racm3.tokens.masking import Masking
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig

Neighbours = Literal["retrieved", "none", "random"]
Strategy = Literal["clip", "bm25", "hybrid"]
Modality = Literal["document", "text", "image"]
Met = Literal["updates", "documents"]
DRAWS = 2
LOOKED_AT = 32


def unusual(one: Any, *left_out: str) -> list[str]:
    """What differs from the defaults of a dataclass, as parts of a folder's name."""
    known = [field for field in fields(one) if field.name not in left_out]
    return [
        f"{field.name}={value}"
        for field in known
        if (value := getattr(one, field.name)) != field.default
    ]


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """One training run; the defaults are RA-CM3, `neighbours="none"` is vanilla CM3.

    Args:
        neighbours: What is shown before the main document.
        strategy: How neighbours are found.
        modality: How much of a neighbour is shown.
        diverse: Whether redundant neighbours are skipped.
        dropout: Query dropout's share; None is the world's own.
        alpha: Weight of the retrieved documents' loss.
        rotation: Share of masked samples that lose whole segments.
        scale: Which of the budget's sizes; None is its usual one.
        met: Go on for as many updates as the others, or until as many documents (beside those
            that are only read) have been met as RA-CM3 meets in these.
        after_cm3: Start from the trained CM3 and go on for the budget's `finetune` updates.
        seed: Decides initialisation and order.
    """

    neighbours: Neighbours = "retrieved"
    strategy: Strategy = "clip"
    modality: Modality = "document"
    diverse: bool = True
    dropout: float | None = None
    alpha: float = 0.1
    rotation: float = 0.5
    scale: int | None = None
    met: Met = "updates"
    after_cm3: bool = False
    seed: int = 0

    @property
    def key(self) -> str:
        """A folder's name: what differs from RA-CM3, and the seed."""
        return "-".join([*(unusual(self, "seed") or ["racm3"]), f"seed={self.seed}"])


RACM3, CM3 = Learnt(), Learnt(neighbours="none")
# What a finished system calls the two.
TRAINED = {RACM3: "racm3", CM3: "cm3"}


def retriever_config(
    world: World, *, strategy: Strategy, modality: Modality, diverse: bool, dropout: float | None
) -> RetrieverConfig:
    base = world.retriever
    return replace(
        base,
        strategy=strategy,
        modality=modality,
        too_similar=base.too_similar if diverse else None,
        query_dropout=base.query_dropout if dropout is None else dropout,
        query="text" if strategy == "bm25" else base.query,
    )


def _material(learnt: Learnt, world: World, folder: Path) -> Path:
    """Documents with the neighbours of this way to retrieve, found once for all runs that share
    it; runs that show none or random ones share the default's."""
    plain = learnt.neighbours != "retrieved"
    how = Learnt() if plain else replace(learnt, neighbours="retrieved")
    config = retriever_config(
        world,
        strategy=how.strategy,
        modality=how.modality,
        diverse=how.diverse,
        dropout=how.dropout,
    )
    name = f"{config.strategy}-{config.modality}-{config.too_similar}-{config.query_dropout}"
    place = folder / "prepared" / name
    with alone(place):
        if not place.exists():
            draws = DRAWS if config.query_dropout or config.query == "either" else 1
            taught = world.lessons()
            made = prepare_lessons(world.codec, world.encoder, taught, config, draws=draws)
            _of_the_same_documents(made, place.parent)
            made.save(place)
    return place


def _of_the_same_documents(made: Prepared, folder: Path) -> None:
    """Ways to retrieve are compared on one material: what this code makes now must be that of the
    runs before.

    Raises:
        ConfigError: It has changed since.
    """
    for other in folder.glob("[!.]*"):
        theirs = Prepared.open(other).documents.arrays
        if any(not np.array_equal(made.documents.arrays[name], theirs[name]) for name in theirs):
            raise ConfigError(
                f"the runs in {folder.parent} learnt from other documents than are made now; give "
                "another --out, or remove the folder to measure again"
            )


def settled(learnt: Learnt, world: World, budget: Budget) -> Learnt:
    """The same run under one name: what is said that would have been so anyway is left out.

    Where runs start from the world's own CM3, a size to be compared with others does not: all of
    these start alike.
    """
    usual, scale = (budget.width, budget.depth), learnt.scale
    if scale is not None and budget.scales[scale] == usual and not (budget.pretrain and world.base):
        scale = None
    dropout = learnt.dropout if learnt.dropout != world.retriever.query_dropout else None
    return replace(learnt, scale=scale, dropout=dropout)


def learn(learnt: Learnt, world: World, budget: Budget, folder: Path) -> Transformer:
    """The trained generator; from disk where it was finished, from its checkpoint where not."""
    learnt = settled(learnt, world, budget)
    if budget.trained:
        return world.trained[TRAINED[learnt]]
    # How many updates it takes may have to be counted, which a finished run needs no more.
    steps = partial(_steps, learnt, world, budget, folder)
    return open_generator(_trained(learnt, world, budget, folder, run_of(learnt, folder), steps))


def _steps(learnt: Learnt, world: World, budget: Budget, folder: Path) -> int:
    steps = budget.finetune if learnt.after_cm3 else budget.steps
    if learnt.met == "updates":
        return steps
    usual = replace(RACM3, seed=learnt.seed)
    met = [documents_met(one, world, budget, folder) for one in (usual, learnt)]
    return max(1, round(steps * met[0] / met[1]))


def documents_met(learnt: Learnt, world: World, budget: Budget, folder: Path) -> float:
    """Main documents in an update, on average over a few: what is read takes room from them."""
    stream = Stream(
        Prepared.open(_material(learnt, world, folder)),
        _stream(learnt, world, budget),
        world.codec.vocabulary,
    )
    for _ in range(LOOKED_AT):
        next(stream)
    return (stream.fresh - len(stream.pending)) / LOOKED_AT


def run_of(learnt: Learnt, folder: Path) -> Path:
    """Where a settled run lives in a study's folder."""
    return folder / "runs" / learnt.key


def _trained(
    learnt: Learnt,
    world: World,
    budget: Budget,
    folder: Path,
    place: Path,
    steps: Callable[[], int],
) -> Path:
    with alone(place):
        if not (place / "final").exists():
            _job(learnt, world, budget, folder, steps()).train(place)
    return place / "final"


def job_of(learnt: Learnt, world: World, budget: Budget, folder: Path) -> Job:
    """The training of a run, for another machine."""
    learnt = settled(learnt, world, budget)
    return _job(learnt, world, budget, folder, _steps(learnt, world, budget, folder))


def _job(learnt: Learnt, world: World, budget: Budget, folder: Path, steps: int) -> Job:
    return Job(
        material=_material(learnt, world, folder),
        beginning=_beginning(learnt, world, budget, folder),
        training=GeneratorTraining(
            steps=steps,
            lr=budget.lr,
            warmup=min(budget.warmup, max(steps // 4, 1)),
            alpha=learnt.alpha,
            optimizer=budget.optimizer,
            precision=budget.precision,
            compile=budget.compile,
            seed=learnt.seed,
        ),
        stream=_stream(learnt, world, budget),
        loop=LoopConfig(steps=steps, save_every=max(steps // 4, 1), validate_every=steps),
    )


def _stream(learnt: Learnt, world: World, budget: Budget) -> StreamConfig:
    return StreamConfig(
        rows=budget.rows,
        length=budget.length,
        neighbours=learnt.neighbours,
        masking=Masking(rotation=learnt.rotation),
        align=world.align,
        seed=learnt.seed,
    )


def _beginning(learnt: Learnt, world: World, budget: Budget, folder: Path) -> Beginning:
    """Fresh, or the run's own CM3, or the CM3 that all runs of this budget start from."""
    before = replace(CM3, seed=learnt.seed, scale=learnt.scale)
    if learnt.after_cm3:
        learn(before, world, budget, folder)
        return Beginning(weights=run_of(before, folder) / "final")
    if budget.pretrain and world.base and learnt.scale is None:
        return Beginning(weights=world.base)
    if budget.pretrain:
        place, alike = folder / "runs" / f"pretrained-{before.key}", replace(budget, pretrain=0)
        weights = _trained(before, world, alike, folder, place, lambda: budget.pretrain)
        return Beginning(weights=weights)
    codes = world.codec.image.vqgan.codebook.vectors
    return Beginning(size=size(learnt, world, budget), codes=codes)


def size(learnt: Learnt, world: World, budget: Budget) -> GeneratorConfig:
    width, depth = budget.scales[learnt.scale] if learnt.scale is not None else (
        budget.width, budget.depth,
    )  # fmt: skip
    heads = max(2, width // 32)
    return GeneratorConfig(
        width=width - width % (2 * heads), depth=depth, heads=heads,
        vocabulary=len(world.codec.vocabulary), context=max(1024, budget.length), tied=True,
        period=world.align,
    )  # fmt: skip


def parameters(learnt: Learnt, world: World, budget: Budget) -> int:
    """How many numbers such a generator has."""
    with torch.device("meta"):
        model = Transformer(size(learnt, world, budget))
    return sum(one.numel() for one in model.parameters())


def every_run(runs: Sequence[Learnt], budget: Budget) -> list[Learnt]:
    """Each run once for every seed of the budget, CM3 before what starts from it."""
    found = dict.fromkeys(replace(run, seed=seed) for seed in budget.seeds for run in runs)
    return sorted(found, key=lambda run: run.after_cm3)
