"""Things made one after the other, by processes of their own before they are asked for."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from torch.utils.data import DataLoader, Dataset

# How many each process makes before they are asked for: a batch and a half of usual samples.
AHEAD = 64

T = TypeVar("T")


class _Made(Dataset[T]):
    def __init__(self, make: Callable[[int], T]) -> None:
        self.make = make

    def __getitem__(self, number: int) -> T:
        return self.make(number)


def in_order(make: Callable[[int], T], numbers: Iterable[int], workers: int) -> Iterator[T]:
    """`make` of every number in turn: when it is asked for, or ahead of that by so many processes,
    which end with the iterator."""
    if not workers:
        return map(make, numbers)
    return iter(
        DataLoader(
            _Made(make),
            sampler=numbers,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=AHEAD,
            collate_fn=_as_it_is,
        )
    )


def _as_it_is(one: T) -> T:
    return one
