"""Verbs that answer for every document of a source."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from racm3.data.ahead import Tolerance
from racm3.data.sources import find_source
from racm3.interfaces.cli.answer import Using
from racm3.recipes.answering import ANSWERS, Answering
from racm3.retrieval.entry import Readable
from racm3.system import Settings
from racm3.system.cores import lanes, rows


def draw(
    source: Path,
    *,
    out: Path,
    at_once: int = 0,
    tolerate: int = 0,
    using: Using = Using(),
    settings: Settings,
) -> None:
    """Draw every caption of a source.

    Picture n, 000000.png and so on, is what `racm3 draw` draws with --seed SEED + n (the best of
    --candidates). Stopped, the same command goes on. OUT is itself a source: `racm3 evaluate
    pictures OUT real/` says how far the pictures are from real ones.

    Args:
        source: A text file with a caption a line, or any source of documents with words, of which
            the first caption is drawn: COCO JSON, tar shards, Parquet, ...
        out: The folder for the pictures and answers.jsonl, a line each with everything that it was
            made with.
        at_once: Captions that are drawn side by side in one step; 0 takes as many as suit the
            machine. More than 1 changes the rounding, and so, rarely, a picture.
        tolerate: How many documents that cannot be read or drawn may be left out.
        using: System and memory.
    """
    _answer(Answering.draw, source, out, at_once, tolerate, using, settings)


def caption(
    source: Path,
    *,
    out: Path,
    at_once: int = 0,
    tolerate: int = 0,
    using: Using = Using(),
    settings: Settings,
) -> None:
    """Describe every picture of a source.

    Answer n is what `racm3 caption` says with --seed SEED + n. Stopped, the same command goes on.
    Where the source has captions, `racm3 evaluate captions OUT/answers.jsonl` compares.

    Args:
        source: A folder of pictures, COCO JSON, tar shards, Parquet, ...
        out: The folder for answers.jsonl: a line a picture with the caption, the source's own ones
            as `references`, and everything that it was made with.
        at_once: Pictures that are described side by side in one step; 0 takes as many as suit the
            machine. More than 1 changes the rounding, and so, rarely, a caption.
        tolerate: How many documents that cannot be read or described may be left out.
        using: System and memory.
    """
    _answer(Answering.caption, source, out, at_once, tolerate, using, settings)


def _answer(
    verb: Callable[[Answering, Iterable[Readable]], int],
    source: Path,
    out: Path,
    at_once: int,
    tolerate: int,
    using: Using,
    settings: Settings,
) -> None:
    began, system, tolerance = time.perf_counter(), using.open(), Tolerance(tolerate)
    threads, guidance = lanes(system), settings.guidance
    streams = guidance.streams(settings.sampling) + len(guidance.left_out)
    fit = rows(system, threads) // threads // (streams * settings.candidates)
    answering = Answering(
        system=system,
        folder=out,
        settings=settings,
        at_once=at_once or max(1, fit),
        lanes=threads,
        tolerance=tolerance,
    )
    count = verb(answering, find_source(source))
    for problem in tolerance.problems:
        print(f"left out: {problem}", file=sys.stderr)
    print(f"{count} answers in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(out / ANSWERS)
