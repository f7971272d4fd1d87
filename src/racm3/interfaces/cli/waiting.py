"""What a terminal shows while an answer takes its time."""

from collections.abc import Iterator
from contextlib import contextmanager

from racm3.system.voice import Watch


@contextmanager
def waiting(what: str) -> Iterator[Watch]:
    """A line on a terminal's standard error that says how far an answer is, and then goes away;
    elsewhere nothing. What it yields watches the answer."""
    from rich.console import Console

    compared = 0
    with Console(stderr=True).status(what) as status:

        def watch(said: list[list[int]]) -> None:
            nonlocal compared
            if said:
                status.update(f"{what}: {max(map(len, said))} ids said")
            else:  # answers are compared, or documents are: nothing is said meanwhile
                compared += 1
                status.update(f"{what}: {compared} compared")

        yield watch
