"""Under torchrun: one update, or a run that stops half-way; what came out goes to a file."""

import os
import shutil
import sys
from pathlib import Path

import torch

from racm3.runtime import join_world
from racm3.training.loop import LoopConfig, train
from tests.training.tiny import learner, material

MET = "met"
"""The file that says that both could reach each other."""


def one_update(folder: Path, shard: bool, recompute: bool) -> None:
    ways = {"shard": shard, "recompute": recompute}
    one = learner(material(), rank=rank.number, world=rank.world, **ways)
    mark = one.stream.bookmark()
    batch = next(one.stream)
    one.stream.seek(mark)
    loss = one.learn_from(0)["loss"]
    found = {"batch": [torch.from_numpy(a) for a in batch], "loss": loss}
    weights = {k: v for k, v in one.state().items() if k.startswith("model.")}
    held = sum(p.to_local().numel() if shard else p.numel() for p in one.model.parameters())
    torch.save({**found, "model": weights, "held": held}, folder / f"{rank.number}.pt")


def two_halves(folder: Path) -> None:
    """Six updates in one go, and in two with another learner for the second three."""
    for name, until in (("whole", 6), ("halves", 3), ("halves", 6)):
        one = learner(material(), rank=rank.number, world=rank.world, shard=True, steps=6)
        train(one, LoopConfig(steps=until, save_every=3), folder / name, rank=rank.number)
        torch.distributed.barrier()
        if rank.number == 0 and until == 3:
            shutil.rmtree(folder / name / "final")
        torch.distributed.barrier()


if __name__ == "__main__":
    torch.set_num_threads(1)
    rank = join_world()
    place, what = Path(sys.argv[1]), sys.argv[2]
    torch.distributed.barrier()
    (place / MET).touch()
    if what == "halves":
        two_halves(place)
    else:
        one_update(place, what != "copies", what == "again")
    # All is written. Ranks were seen to abort after that ("terminate called without an active
    # exception"), as an interpreter does that ends while a thread of torch's holds its objects.
    torch.distributed.barrier()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
