"""What a learner waits for its next batch while a device learns, by processes that work ahead.

    python benchmarks/feeding.py

The device is `--busy` milliseconds of nothing: a card, which leaves the processor free.
"""

import time
from collections.abc import Callable

import numpy as np
from common import arguments, seconds, show

from racm3.data.stream import Stream, StreamConfig
from training import VOCABULARY, material

BATCHES = 12


def main() -> None:
    what = "seconds for an update of which a device computes a part"
    chosen = arguments(what, repeats=3, rows=40, length=832, busy=50)
    config = StreamConfig(rows=chosen.rows, length=chosen.length, align=128)
    prepared = material(np.random.default_rng(0))
    streams = {n: Stream(prepared, config, VOCABULARY, workers=n) for n in (0, 1, 2, 4)}
    taken = seconds(
        {f"{n} workers": updates(one, chosen.busy / 1000) for n, one in streams.items()},
        repeats=chosen.repeats,
    )
    base = taken["0 workers"]
    rows = [
        {
            "batches by": name,
            "s/update": round(value / BATCHES, 3),
            "ids/s": round(chosen.rows * chosen.length * BATCHES / value),
            "ratio": round(base / value, 2),
        }
        for name, value in taken.items()
    ]
    show(rows, chosen)


def updates(stream: Stream, busy: float) -> Callable[[], None]:
    def some() -> None:
        for _ in range(BATCHES):
            next(stream)
            time.sleep(busy)

    return some


if __name__ == "__main__":
    main()
