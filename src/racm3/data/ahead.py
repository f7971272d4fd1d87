"""Documents that were found, read by threads before they are asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from racm3.errors import DocumentError, SourceError
from racm3.retrieval.entry import Entry, Readable
from racm3.runtime import threads

Some = TypeVar("Some", bound=Readable)


class Found(NamedTuple):
    """A document of a source, not opened yet.

    Args:
        source: Its name.
        read: Opens, decodes and checks it, in whatever thread.
    """

    source: str
    read: Callable[[], Entry]


@dataclass
class Tolerance:
    """How many unreadable sources are accepted, and which ones there were."""

    most: int = 0
    problems: list[str] = field(default_factory=list)

    def refuse(self, name: str, error: Exception) -> None:
        said = str(error)
        self.problems.append(said if said.startswith(name) else f"{name}: {said}")
        if len(self.problems) > self.most:
            listed = "; ".join(self.problems[-3:])
            raise SourceError(
                f"{len(self.problems)} sources cannot be read, more than the {self.most} that are "
                f"tolerated ({listed}); mend them or allow more with --tolerate"
            )


def read_ahead(found: Iterable[Some], tolerance: Tolerance) -> Iterator[tuple[Some, Entry]]:
    """What was found and what it says, in this order; what cannot be read is refused.

    As many documents as there are threads wait in RAM.
    """
    most = threads()
    pool = ThreadPoolExecutor(most, thread_name_prefix="reading")
    waiting = deque[tuple[Some, Future[Entry]]]()
    unread = iter(found)
    try:
        while True:
            while len(waiting) <= most and (one := next(unread, None)) is not None:
                waiting.append((one, pool.submit(one.read)))
            if not waiting:
                return
            first, reading = waiting.popleft()
            try:
                entry = reading.result()
            except (DocumentError, SourceError, OSError, ValueError, TypeError) as error:
                tolerance.refuse(first.source, error)
                continue
            yield first, entry
    finally:
        pool.shutdown(cancel_futures=True)
