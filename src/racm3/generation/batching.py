"""Many answers at once: arrivals join between steps, whoever is done or gives up makes room."""

import threading
from collections import deque
from collections.abc import Sequence
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

    def score(self, prompt: Ids, continuation: Ids) -> Float[Tensor, " seq"]: ...


class Job:
    """A request on its way; a `watch` that raises gives it up."""

    def __init__(self, request: Request, watch: Watcher | None) -> None:
        self.request, self.watch = request, watch
        self.future: Future[list[Said]] = Future()
        self.talk: Talk | None = None

    @property
    def rows(self) -> int:
        return len(self.request.streams) * self.request.samples


class Batcher:
    """Continuous batching (Yu et al. 2022, Orca): one thread steps all answers under way.

    Every answer is what the engine says alone, up to the rounding of larger matrix products.

    Args:
        engine: Reads, chooses and advances.
        rows: At most this many candidates times streams at once; one request may have more.
    """

    def __init__(self, engine: Engine, *, rows: int = 64) -> None:
        self.engine, self.rows = engine, rows
        self.waiting: deque[Job] = deque()
        self.active: list[Job] = []
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="racm3-batcher", daemon=True)
        self._thread.start()

    def generate(self, request: Request, watch: Watcher | None = None) -> list[Said]:
        """Wait for the answer; to be called from a thread of one's own."""
        job = Job(request, watch)
        with self._news:
            if self._closed:
                raise GenerationError("the server is shutting down; ask again in a moment")
            self.waiting.append(job)
            self._news.notify()
        return job.future.result()

    def score(self, prompt: Ids, continuation: Ids) -> Float[Tensor, " seq"]:
        return self.engine.score(prompt, continuation)

    def close(self) -> None:
        """What is under way ends with an error."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._admit():
            self.active = [job for job in self.active if self._choose(job)]
            if self.active:
                self._advance([job.talk for job in self.active if job.talk])
        stopped = GenerationError("the server is shutting down; ask again in a moment")
        for job in (*self.active, *self.waiting):
            job.future.set_exception(stopped)

    def _admit(self) -> bool:
        """Let in who fits, first come, first served; sleep while nobody is there."""
        with self._news:
            while not (self.active or self.waiting or self._closed):
                self._news.wait()
            taken = sum(job.rows for job in self.active)
            arrived = list[Job]()
            while self.waiting and (not taken or taken + self.waiting[0].rows <= self.rows):
                arrived.append(self.waiting.popleft())
                taken += arrived[-1].rows
            closed = self._closed
        for job in arrived:
            self._begin(job)
        return not closed

    def _begin(self, job: Job) -> None:
        try:
            job.talk = self.engine.begin(job.request, job.watch)
        except Exception as error:
            job.future.set_exception(error)
        else:
            self.active.append(job)

    def _choose(self, job: Job) -> bool:
        """Whether this answer goes on."""
        assert job.talk is not None
        try:
            more = self.engine.choose(job.talk)
        except Exception as error:
            job.future.set_exception(error)
            return False
        if not more:
            job.future.set_result(job.talk.result())
        return more

    def _advance(self, talks: Sequence[Talk]) -> None:
        try:
            self.engine.advance(talks)
        except Exception as error:
            for job in self.active:
                job.future.set_exception(error)
            self.active = []
