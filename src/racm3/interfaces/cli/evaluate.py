"""Verbs that measure and show."""

import sys
import time
from pathlib import Path

from racm3.evaluation import sample as judge
from racm3.interfaces.cli.answer import Using
from racm3.interfaces.page.gallery import make_gallery
from racm3.system import Settings


def demo(*, out: Path = Path("out/demo"), using: Using = Using(), settings: Settings) -> None:
    """Draw, describe and infill with the sample system, and write a gallery of what came out.

    Args:
        out: The folder for gallery.html and contact-sheet.png.
        using: System and memory.
    """
    began = time.perf_counter()
    system = using.open()
    gallery = make_gallery(system, settings, out)
    print(f"drew, described and infilled in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(gallery)


def sample(
    *,
    out: Path = Path("docs/results"),
    count: int = 100,
    using: Using = Using(),
    settings: Settings,
) -> None:
    """Measure everything that is claimed of the sample system, with intervals.

    Args:
        out: Where sample.json and sample.md go.
        count: Scenes for each measure.
        using: System and memory.
    """
    system = using.open()
    rows = judge.evaluate(system, count=count, seed=settings.seed, settings=settings)
    command = "racm3 " + " ".join(sys.argv[1:]) if sys.argv[0].endswith("racm3") else "racm3"
    judge.write_report(rows, out, system=system, command=command, seed=settings.seed)
    print(judge.as_table(rows))
    print(out / "sample.md")
