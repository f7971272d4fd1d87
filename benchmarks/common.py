"""What the benchmarks share: the exported sample generator, timing in turns, a table."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from racm3.evaluation.report import table


def arguments(description: str, *, threads: int = 2, **defaults: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--out", type=Path, help="also write the rows as JSON")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    return chosen


def sizes(largest: int) -> list[int]:
    """Numbers of documents to measure: powers of ten up to the largest."""
    return [size for size in (10_000, 100_000, 1_000_000) if size < largest] + [largest]


def seconds(runs: dict[str, Callable[[], object]], *, repeats: int = 5) -> dict[str, float]:
    """Median time of each, taken in turns so that a busy minute hits everybody alike."""
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def show(rows: list[dict[str, object]], chosen: argparse.Namespace) -> None:
    print(table(rows))
    if chosen.out:
        chosen.out.write_text(json.dumps(rows, indent=2) + "\n")
