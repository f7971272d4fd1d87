"""Many answers at once, in the order of what was asked."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from racm3.generation.batching import Together
from racm3.runtime import progress
from racm3.system.cores import lanes as idle_lanes
from racm3.system.racm3 import RACM3

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    system: RACM3,
    items: Iterable[Item],
    answer: Callable[[RACM3, Item], Result],
    *,
    at_once: int = 1,
    lanes: int = 1,
) -> Iterator[list[Result]]:
    """What `answer` makes of every item, in groups of `at_once` that are stepped together.

    The same items in the same groups give the same answers to the last bit, whatever comes first;
    in groups of one they are those of the system alone.

    Args:
        system: Answers; `answer` is given it, or what speaks for it in a group.
        items: Taken as they are needed, a few groups ahead.
        answer: Asks the system once or more, in a thread of its own.
        at_once: Items in a group.
        lanes: Groups under way at once; two where an operation leaves cores idle.
    """
    rest, ahead = iter(items), deque[Future[list[Result]]]()
    with ThreadPoolExecutor(lanes) as pool:
        while group := list(islice(rest, at_once)):
            ahead.append(pool.submit(_together, system, group, answer))
            if len(ahead) > lanes:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def numbered(
    system: RACM3, count: int, answer: Callable[[int], Result], *, label: str
) -> Iterator[Result]:
    """What `answer` makes of every number below `count`, in order, with a bar that says how far.

    Several are under way where an operation leaves cores idle; each is what it is alone.
    """
    groups = each(system, range(count), lambda _, number: answer(number), lanes=idle_lanes(system))
    yield from progress((one for (one,) in groups), label=label, total=count)


def _together(
    system: RACM3, group: Sequence[Item], answer: Callable[[RACM3, Item], Result]
) -> list[Result]:
    if len(group) == 1:
        return [answer(system, group[0])]
    together = Together(system.engine, len(group))

    def one(number: int) -> Result:
        try:
            return answer(system.speaking(together.seat(number)), group[number])
        finally:
            together.leave(number)

    with ThreadPoolExecutor(len(group)) as pool:
        return list(pool.map(one, range(len(group))))
