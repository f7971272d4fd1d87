"""Answering for many clients: a bounded number at once, in threads, with cancelling and limits."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from racm3.errors import Racm3Error
from racm3.interfaces.server.config import ServerConfig
from racm3.system.voice import Watch

T = TypeVar("T")
Said = list[list[int]]
LOOK = 0.1


class Busy(Racm3Error):
    """The queue is full: 429."""


class TooSlow(Racm3Error):
    """The answer took longer than allowed: 503."""


class Gone(Racm3Error):
    """The client has left; nobody will read this."""


class Desk:
    """Where requests become work: `answer` waits for one, `watched` also tells of its steps."""

    def __init__(self, config: ServerConfig) -> None:
        self.config, self.registry = config, CollectorRegistry()
        self.pool = ThreadPoolExecutor(config.queue, thread_name_prefix="racm3-answer")
        into = self.registry
        self.under_way = Gauge("racm3_requests_under_way", "Requests being answered", registry=into)
        self.refused = Counter(
            "racm3_requests_refused", "Requests told to come back", registry=into
        )
        self.given_up = Counter("racm3_requests_given_up", "Left or too slow", registry=into)
        self.ids = Counter(
            "racm3_ids_said", "Ids generated, all candidates together", registry=into
        )
        self.seconds = Histogram("racm3_answer_seconds", "Time to answer", ["what"], registry=into)
        self.count = 0

    async def answer(self, request: Request, what: str, work: Callable[[Watch], T]) -> T:
        """The result of `work`, which runs in a thread and calls its watcher at every step."""
        found = [one async for one in self.watched(request, what, work, tell=False)]
        return found[-1]  # type: ignore[return-value]

    async def watched(
        self, request: Request, what: str, work: Callable[[Watch], T], *, tell: bool = True
    ) -> AsyncIterator[Said | T]:
        """What has been said after each step (the newest, if steps come too fast), then the result.

        Raises:
            Busy: There is no room.
            TooSlow: It took longer than the configuration allows.
        """
        self.make_room()
        said, stop, counted = list[Said](), threading.Event(), 0

        def watch(now: Said) -> None:
            nonlocal counted
            if stop.is_set():
                raise Gone("the client has left")
            whole = sum(map(len, now))
            self.ids.inc(whole - counted if whole > counted else whole)  # or another answer began
            counted = whole
            if tell:
                said[:] = [[list(ids) for ids in now]]

        began = time.monotonic()
        future = asyncio.get_running_loop().run_in_executor(self.pool, work, watch)
        future.add_done_callback(lambda _: self.leave())
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=LOOK)
                if future.done():
                    break
                if tell and said:
                    yield said.pop()
                await self._still_wanted(request, began)
            yield future.result()
            self.seconds.labels(what).observe(time.monotonic() - began)
        finally:
            stop.set()
            if not future.done():
                self.given_up.inc()
                # Its end, an error that nobody waits for, is looked at so that it is not logged.
                future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def make_room(self) -> None:
        if self.count >= self.config.queue:
            self.refused.inc()
            raise Busy(f"{self.count} requests are being answered already; try again shortly")
        self.count += 1
        self.under_way.set(self.count)

    def leave(self) -> None:
        self.count -= 1
        self.under_way.set(self.count)

    async def _still_wanted(self, request: Request, began: float) -> None:
        if time.monotonic() - began > self.config.seconds:
            raise TooSlow(
                f"no answer within {self.config.seconds:g} seconds; ask for fewer candidates"
            )
        if await request.is_disconnected():
            raise Gone("the client has left")

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
