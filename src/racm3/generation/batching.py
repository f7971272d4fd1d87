"""Many answers at once: arrivals join between steps, whoever is done or gives up makes room."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from racm3.errors import GenerationError
from racm3.generation.engine import Engine
from racm3.generation.talk import Ids, Request, Said, Talk, Watcher


@runtime_checkable
class Speaker(Protocol):
    """What continues prompts: the engine alone, or a batcher that many threads share."""

    def generate(self, request: Request, watch: Watcher | None = None) -> list[Said]: ...

    def scores(
        self, prompt: Ids, continuations: Iterable[Ids]
    ) -> Iterator[Float[Tensor, " seq"]]: ...

    def score(
        self, prompt: Ids, continuation: Ids, *, read: Ids | None = None
    ) -> Float[Tensor, " seq"]: ...


class Scoring:
    """Asks an engine in the caller's own thread what it thinks of a continuation."""

    engine: Engine

    def scores(self, prompt: Ids, continuations: Iterable[Ids]) -> Iterator[Float[Tensor, " seq"]]:
        return self.engine.scores(prompt, continuations)

    def score(
        self, prompt: Ids, continuation: Ids, *, read: Ids | None = None
    ) -> Float[Tensor, " seq"]:
        return self.engine.score(prompt, continuation, read=read)


class Job:
    """A request on its way; a `watch` that raises gives it up."""

    def __init__(self, request: Request, watch: Watcher | None) -> None:
        self.request, self.watch = request, watch
        self.future: Future[list[Said]] = Future()
        self.talk: Talk | None = None

    @property
    def rows(self) -> int:
        return len(self.request.streams) * self.request.samples

    def begin(self, engine: Engine) -> bool:
        """Its prompts are read; whether they could be."""
        try:
            self.talk = engine.begin(self.request, self.watch)
        except Exception as error:
            self.future.set_exception(error)
            return False
        return True

    def goes_on(self, engine: Engine) -> bool:
        """Its next ids are chosen; whether there are more to come."""
        assert self.talk is not None
        try:
            more = engine.choose(self.talk)
        except Exception as error:
            self.future.set_exception(error)
            return False
        if not more:
            self.future.set_result(self.talk.result())
        return more


def advance(engine: Engine, jobs: list[Job]) -> list[Job]:
    """All of them further by a step; those that are still under way."""
    jobs = [job for job in jobs if job.goes_on(engine)]
    try:
        if jobs:
            engine.advance([job.talk for job in jobs if job.talk])
    except Exception as error:
        for job in jobs:
            job.future.set_exception(error)
        return []
    return jobs


class Batcher(Scoring):
    """Continuous batching (Yu et al. 2022, Orca): whoever asks joins what is stepped already.

    Every answer is what the engine says alone, up to the rounding of larger matrix products.

    Args:
        engine: Reads, chooses and advances.
        rows: At most this many candidates times streams at once; one request may have more.
        lanes: Threads that step, each its own answers; more than one pays where an operation
            leaves cores idle.
    """

    def __init__(self, engine: Engine, *, rows: int = 64, lanes: int = 1) -> None:
        self.engine, self.rows = engine, rows
        self.waiting: deque[Job] = deque()
        self.closed = False
        self.news = threading.Condition()
        self.lanes = [Lane(self, number) for number in range(lanes)]
        for lane in self.lanes:
            lane.start()

    def generate(self, request: Request, watch: Watcher | None = None) -> list[Said]:
        """Wait for the answer; to be called from a thread of one's own."""
        job = Job(request, watch)
        with self.news:
            if self.closed:
                raise stopped()
            self.waiting.append(job)
            self.news.notify_all()
        return job.future.result()

    @property
    def active(self) -> list[Job]:
        """What is being answered, by all lanes together."""
        return [job for lane in self.lanes for job in lane.active]

    def has_room(self, lane: "Lane") -> bool:
        """Whether the next one that waits fits, and no other lane has less to do."""
        if not self.waiting:
            return False
        taken = [one.rows for one in self.lanes]
        fits = not sum(taken) or sum(taken) + self.waiting[0].rows <= self.rows
        return fits and lane.rows == min(taken)

    def close(self) -> None:
        """What is under way ends with an error."""
        with self.news:
            self.closed = True
            self.news.notify_all()
        for lane in self.lanes:
            lane.join()
        for job in self.waiting:
            job.future.set_exception(stopped())


class Lane(threading.Thread):
    """One thread that steps the answers which it has let in."""

    def __init__(self, batcher: Batcher, number: int) -> None:
        super().__init__(name=f"racm3-batcher-{number}", daemon=True)
        self.batcher, self.engine = batcher, batcher.engine
        self.active: list[Job] = []

    @property
    def rows(self) -> int:
        return sum(job.rows for job in self.active)

    def run(self) -> None:
        while self._admit():
            self.active = advance(self.engine, self.active)
        for job in self.active:
            job.future.set_exception(stopped())

    def _admit(self) -> bool:
        """Let in who fits, first come, first served; sleep while there is nothing to do."""
        batcher, known = self.batcher, len(self.active)
        with batcher.news:
            while not (self.active or batcher.has_room(self) or batcher.closed):
                batcher.news.wait()
            while batcher.has_room(self):
                self.active.append(batcher.waiting.popleft())
            if batcher.waiting:  # it may be another lane's now
                batcher.news.notify_all()
            closed = batcher.closed
        self.active[known:] = [job for job in self.active[known:] if job.begin(self.engine)]
        return not closed


class Together:
    """Answers that are made side by side and meet: nobody is stepped before all who are there ask.

    Which questions are stepped together is then no matter of time, as with a `Batcher`: the same
    ones give the same answers to the last bit.

    Args:
        engine: Reads, chooses and advances.
        count: How many there are; each works in a thread of its own, speaks through its
            `seat` and leaves when it has done.
    """

    def __init__(self, engine: Engine, count: int) -> None:
        self.engine, self.present = engine, set(range(count))
        self.asking: dict[int, Job] = {}
        self.lock = threading.Lock()

    def seat(self, number: int) -> "Seat":
        return Seat(self, number)

    def ask(self, number: int, job: Job) -> list[Said]:
        with self.lock:
            self.asking[number] = job
        self._answer()
        return job.future.result()

    def leave(self, number: int) -> None:
        with self.lock:
            self.present.remove(number)
        self._answer()

    def _answer(self) -> None:
        """Where all who are there ask: answer them, in the thread of who came last."""
        with self.lock:
            if self.asking.keys() != self.present:
                return
            jobs = [self.asking[number] for number in sorted(self.asking)]
            self.asking.clear()
        jobs = [job for job in jobs if job.begin(self.engine)]
        while jobs:
            jobs = advance(self.engine, jobs)


class Seat(Scoring):
    """A speaker among several of `Together`."""

    def __init__(self, together: Together, number: int) -> None:
        self.together, self.number, self.engine = together, number, together.engine

    def generate(self, request: Request, watch: Watcher | None = None) -> list[Said]:
        return self.together.ask(self.number, Job(request, watch))


def stopped() -> GenerationError:
    return GenerationError("the server is shutting down; ask again in a moment")
