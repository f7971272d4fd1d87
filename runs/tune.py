"""Check how a sample system decodes on things that it never met: `python runs/tune.py SYSTEM`.

Fictional things of a seed that no training has used are put into the memory; the held-out things
are not looked at. One setting at a time leaves what the system's `system.json` says: how many
things are drawn right as they are, how many dyed and in the dye asked for, and how many are named
in captions, with the sum of the three beside the system's own, on the same scenes. Writes
docs/results/tuning.md and its curves, tuning.png.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.fictional import fictional_things
from racm3.data.sample_world.scenes import Chances
from racm3.data.sample_world.things import Thing, seen_things
from racm3.evaluation.attributes import in_its_dyes
from racm3.evaluation.fidelity import faithful
from racm3.evaluation.invented import taught
from racm3.evaluation.report import mean, table
from racm3.runtime import progress, write_whole
from racm3.system import RACM3, Settings

DEV, THINGS = 500, 200
RESULTS = Path(__file__).parents[1] / "docs/results"
Scores = dict[str, list[float]]


def sampled(name: str) -> Callable[[Settings, Any], Settings]:
    return lambda usual, one: replace(usual, sampling=replace(usual.sampling, **{name: one}))


def guided(name: str) -> Callable[[Settings, Any], Settings]:
    return lambda usual, one: replace(usual, guidance=replace(usual.guidance, **{name: one}))


VARIED: Mapping[str, tuple[Sequence[float], Callable[[Settings, Any], Settings]]] = {
    "temperature": ((0.1, 0.3, 0.7, 1.0), sampled("temperature")),
    "top-p": ((0.9, 0.95, 1.0), sampled("top_p")),
    "candidates": ((1, 4, 8), lambda usual, one: replace(usual, candidates=one)),
    "guidance": ((1.0, 1.25, 1.5, 2.0), guided("weight")),
    "guidance of captions": ((1.0, 1.5), guided("caption_weight")),
    "context weight": ((1.0, 1.25, 1.5, 2.0), guided("context_weight")),
}


class Dev:
    """Scenes of things that no training met, which are in the memory now."""

    def __init__(self, system: RACM3, count: int) -> None:
        self.among: list[Thing] = fictional_things(seen_things(), THINGS, seed=DEV)
        self.system = taught(system, [thing.document() for thing in self.among])
        self.plain, self.dyed = (
            scenes(self.among, count, seed=DEV, things_each=1, chances=Chances(dyed=share))
            for share in (0.0, 1.0)
        )

    def scores(self, settings: Settings, label: str) -> Scores:
        """Whether each scene is drawn right, each dyed one in its dye, too, and each one named."""
        found: Scores = {"drawn right": [], "dyed, both right": [], "named": []}
        pairs = progress(list(zip(self.plain, self.dyed, strict=True)), label=label)
        for n, ((scene, one), (other, coloured)) in enumerate(pairs):
            mine = replace(settings, seed=n)
            drawn, dyed = (self.system.draw(asked.text, mine).image for asked in (one, coloured))
            said = self.system.caption(one.images[0], mine).text
            found["drawn right"].append(float(faithful(drawn, scene, among=self.among)))
            both = faithful(dyed, other, among=self.among) and in_its_dyes(dyed, other)
            found["dyed, both right"].append(float(both))
            found["named"].append(float(scene.things[0].name in said))
        return found


def summed(scores: Scores) -> np.ndarray:
    return np.sum(list(scores.values()), axis=0)


def curves(found: Mapping[tuple[str, float], Scores], names: Sequence[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, cells = pyplot.subplots(
        1, len(names), figsize=(2.6 * len(names), 3), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, name in zip(cells[0], names, strict=True):
        values = VARIED[name][0]
        for measure in next(iter(found.values())):
            points = [mean(found[name, value][measure]) for value in values]
            y = np.array([[p.value, p.value - p.low, p.high - p.value] for p in points]).T
            axes.errorbar(values, y[0], yerr=y[1:], marker="o", capsize=3, label=measure)
        axes.set_xlabel(name)
    cells[0][0].legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", type=Path)
    parser.add_argument("--count", type=int, default=80, help="scenes of each kind")
    parser.add_argument("--only", choices=VARIED, nargs="+", default=list(VARIED))
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    dev = Dev(RACM3.open(chosen.system, device="cpu"), chosen.count)
    usual, known = dev.system.parts.settings, dict[Settings, Scores]()
    rows: list[dict[str, object]] = []
    found: dict[tuple[str, float], Scores] = {}
    own = known[usual] = dev.scores(usual, "its own")
    for name in chosen.only:
        values, vary = VARIED[name]
        for value in values:
            one = vary(usual, value)
            if one not in known:
                known[one] = dev.scores(one, f"{name} {value:g}")
            scores = found[name, value] = known[one]
            shown = {measure: str(mean(some)) for measure, some in scores.items()}
            beside = "its own" if one == usual else str(mean(summed(scores) - summed(own)))
            rows.append({"varied": name, "value": value} | shown | {"sum, beside its own": beside})
            print(rows[-1], file=sys.stderr, flush=True)
    root = RESULTS.parents[1]
    shown = chosen.system.resolve()
    shown = shown.relative_to(root) if shown.is_relative_to(root) else chosen.system
    only = "" if chosen.only == list(VARIED) else f" --only {shlex.join(chosen.only)}"
    command = f"python runs/tune.py {shown} --count {chosen.count}{only}"
    text = (
        f"# Decoding, on things that no training met\n\n`{command}`\n\n{table(rows)}\n\n"
        "95% bootstrap intervals over scenes; differences on the same scenes.\n\n"
        "![Curves](tuning.png)\n"
    )
    write_whole(chosen.out / "tuning.md", text)
    curves(found, chosen.only, chosen.out / "tuning.png")


if __name__ == "__main__":
    main()
