"""The model card's curves, from the losses beside the weights: `python runs/losses.py [folder]`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

from racm3.system.parts import sample_folder

# Panel, its unit, then lines: the logs that they are in, what kind of entry, and which number.
Line = tuple[str, tuple[str, ...], str, str]
PANELS: tuple[tuple[str, str, tuple[Line, ...]], ...] = (
    (
        "image tokenizer, then its decoder",
        "PSNR of unseen scenes (dB)",
        (("tokenizer", ("tokenizer", "decoder"), "validation", "psnr"),),
    ),
    (
        "CLIP, then its text and its picture tower",
        "training loss (contrast, then squared errors)",
        (("clip", ("clip",), "train", "loss"),),
    ),
    (
        "generators, course after course",
        "training loss (nats a token)",
        (("RA-CM3", ("racm3",), "train", "loss"), ("CM3", ("cm3",), "train", "loss")),
    ),
    (
        "generators, course after course",
        "image perplexity of unseen scenes",
        (
            ("RA-CM3", ("racm3",), "validation", "image_perplexity"),
            ("CM3", ("cm3",), "validation", "image_perplexity"),
        ),
    ),
)


def logs(folder: Path, part: str) -> Iterator[list[dict[str, Any]]]:
    """A part's runs in the order in which they were: PART-0, PART-1, ..., and PART as the last."""
    numbered = sorted(
        folder.glob(f"{part}-*.log.jsonl"),
        key=lambda path: int(path.name.split("-")[1].split(".")[0]),
    )
    for path in (*numbered, folder / f"{part}.log.jsonl"):
        if path.exists():
            yield [json.loads(line) for line in path.read_text().splitlines()]


def drawn(axes: Any, folder: Path, line: Line, colour: str) -> None:
    """One curve for each run, behind those before it; a dotted line where the next one begins."""
    label, parts, kind, what = line
    begun = 0
    for part in parts:
        for log in logs(folder, part):
            points = [
                (begun + one["step"], one[what])
                for one in log
                if one["kind"] == kind and what in one
            ]
            axes.plot(
                *zip(*points, strict=True),
                color=colour,
                lw=1,
                marker="." if len(points) < 3 else "",
                label=label,
            )
            begun, label = begun + log[-1]["step"], ""
            axes.axvline(begun, color="0.8", lw=0.5, ls=":")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs/results"
    figure, cells = pyplot.subplots(2, 2, figsize=(10, 6.5), layout="constrained")
    for axes, (title, unit, lines) in zip(cells.flat, PANELS, strict=True):
        for number, line in enumerate(lines):
            drawn(axes, sample_folder(), line, f"C{number}")
        axes.set(title=title, xlabel="updates", ylabel=unit)
        if len(lines) > 1:
            axes.legend(frameon=False)
    cells[0][1].set_yscale("log")
    cells[1][1].set_yscale("log")
    figure.savefig(out / "losses.png", dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    main()
