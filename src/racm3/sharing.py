"""Several processes on pieces of work: each is done once, by whoever comes first."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

Piece = TypeVar("Piece")


@contextmanager
def alone(place: Path, *, wait: bool = True) -> Iterator[None]:
    """Be the only process that makes `place`; whoever dies gives it up.

    Raises:
        Timeout: Another process is making it, and nobody wants to `wait`.
    """
    beside = place.with_name(f".{place.name}.lock")
    beside.parent.mkdir(parents=True, exist_ok=True)
    # Who has it already may take it again: a question trains the generator it asks.
    with FileLock(beside, is_singleton=True).acquire(timeout=-1 if wait else 0):
        yield


def divide(work: Iterable[Piece], place: Callable[[Piece], Path]) -> Iterator[Piece]:
    """Piece after piece, nobody else at it until the next one is asked for.

    What another process is making comes last, and is waited for.
    """
    theirs = []
    for one in work:
        try:
            with alone(place(one), wait=False):
                yield one
        except Timeout:
            theirs.append(one)
    for one in theirs:
        with alone(place(one)):
            yield one
