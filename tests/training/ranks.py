"""One update on one rank, under torchrun; what it saw and learnt goes to a file."""

import sys
from pathlib import Path

import torch

from racm3.runtime import join_world
from tests.training.tiny import learner, material

if __name__ == "__main__":
    torch.set_num_threads(1)
    rank = join_world()
    one = learner(material(), rank=rank.number, world=rank.world)
    mark = one.stream.bookmark()
    batch = next(one.stream)
    one.stream.seek(mark)
    loss = one.learn_from(0)["loss"]
    found = {"batch": [torch.from_numpy(a) for a in batch], "loss": loss}
    path = Path(sys.argv[1]) / f"{rank.number}.pt"
    torch.save({**found, "model": one.model.state_dict()}, path)
    torch.distributed.destroy_process_group()
