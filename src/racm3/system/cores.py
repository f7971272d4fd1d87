"""How many cores an operation of a generator takes, and how many threads begin one."""

import os

import torch

from racm3.system.racm3 import RACM3


def take_cores(system: RACM3, threads: int, *, small: int) -> None:
    """Settle it for this thread and those that this process starts from now on.

    A small generator's operations are too short to be divided: cores that others keep busy are
    waited for at every one of them.

    Args:
        threads: So many; 0 takes one for a small generator on a CPU, else what PyTorch chose.
        small: Numbers of weights below which a generator is small.
    """
    model = system.engine.model
    weights = sum(one.numel() for one in model.parameters())
    if threads or (model.device.type == "cpu" and weights < small):
        torch.set_num_threads(threads or 1)


def lanes(system: RACM3) -> int:
    """How many threads may step the generator at once: two, where an operation leaves cores idle.

    More than two were not measured: they share Python's lock and take each other's batches.
    """
    return 2 if _takes_one_core(system) and (os.cpu_count() or 1) > 1 else 1


def rows(system: RACM3, lanes: int) -> int:
    """How many candidates (times guidance streams) are stepped at once: twelve a lane, where an
    operation takes one core, and 64 elsewhere.

    With more there is no room for guesses, which bring a small generator further than company does
    (docs/results/benchmarks.md).
    """
    return 12 * lanes if _takes_one_core(system) else 64


def _takes_one_core(system: RACM3) -> bool:
    return torch.get_num_threads() == 1 and system.engine.model.device.type == "cpu"
