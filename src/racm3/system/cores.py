"""How many cores an operation of a generator takes, and how many threads begin one."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

import torch

from racm3.generation.engine import Engine

# Generators of fewer weights are small.
SMALL = 10_000_000
Given, Answer = ParamSpec("Given"), TypeVar("Answer")


@runtime_checkable
class HasCores(Protocol):
    """What answers. `cores`: for one operation; 0 takes one for a small generator on a CPU."""

    engine: Engine
    cores: int


System = TypeVar("System", bound=HasCores)


def undivided(
    answer: Callable[Concatenate[System, Given], Answer],
) -> Callable[Concatenate[System, Given], Answer]:
    """Answer with as many cores for an operation as the system says, then give PyTorch back what it
    was set to."""

    @wraps(answer)
    def answered(system: System, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        before = torch.get_num_threads()
        torch.set_num_threads(_cores(system, SMALL))
        try:
            return answer(system, *args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return answered


def take_cores(system: HasCores, threads: int, *, small: int) -> None:
    """Settle it for this thread and those that this process starts from now on.

    A small generator's operations are too short to be divided: cores that others keep busy are
    waited for at every one of them.

    Args:
        system: What answers.
        threads: So many; 0 takes one for a small generator on a CPU, else what PyTorch chose.
        small: Numbers of weights below which a generator is small.
    """
    system.cores = threads
    torch.set_num_threads(_cores(system, small))


def lanes(system: HasCores) -> int:
    """How many threads may step the generator at once: two, where an operation leaves cores idle.

    More than two were not measured: they share Python's lock and take each other's batches.
    """
    return 2 if _takes_one_core(system) and (os.cpu_count() or 1) > 1 else 1


def rows(system: HasCores, lanes: int) -> int:
    """How many candidates (times guidance streams) are stepped at once: twelve a lane, where an
    operation takes one core, and 64 elsewhere.

    With more there is no room for guesses, which bring a small generator further than company does
    (docs/results/benchmarks.md).
    """
    return 12 * lanes if _takes_one_core(system) else 64


def _takes_one_core(system: HasCores) -> bool:
    return _cores(system, SMALL) == 1 and system.engine.model.device.type == "cpu"


def _cores(system: HasCores, small: int) -> int:
    model = system.engine.model
    weights = sum(one.numel() for one in model.parameters())
    one = model.device.type == "cpu" and weights < small
    return system.cores or (1 if one else torch.get_num_threads())
