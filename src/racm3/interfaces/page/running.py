"""An answer under way, as the page sees it: its steps one after the other, and a way to stop it."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from racm3.errors import GenerationError
from racm3.system.voice import Watch

T = TypeVar("T")
Said = list[list[int]]


def steps(work: Callable[[Watch], T]) -> Iterator[Said | T]:
    """What has been said so far, the newest whenever asked for, then the result of `work`.

    Whoever stops iterating stops the work: its next step raises.
    """
    told: queue.Queue[Said] = queue.Queue()
    ended, stop = list[T | Exception](), threading.Event()

    def watch(said: Said) -> None:
        if stop.is_set():
            raise GenerationError("stopped")
        told.put([list(ids) for ids in said])

    def run() -> None:
        try:
            ended.append(work(watch))
        except Exception as error:
            ended.append(error)
        told.put([])

    thread = threading.Thread(target=run, name="racm3-page", daemon=True)
    thread.start()
    try:
        while not ended or not told.empty():
            newest = told.get()
            while not told.empty():
                newest = told.get()
            if newest:
                yield newest
        thread.join()
        if isinstance(ended[0], Exception):
            raise ended[0]
        yield ended[0]
    finally:
        stop.set()
