"""Choose decoding for the sample system on things that it never met: `python runs/tune.py SYSTEM`.

Fictional things of a seed that no training has used are put into the memory. How many are drawn
right as they are, and dyed in the dye asked for, and named in captions, by temperature, top-p,
candidates, context weight and guidance weight, each with the best of what came before; the held-out
things are not looked at. Writes docs/results/tuning.md. `--only guidance` starts from the system's
own settings, varies nothing else, and writes docs/results/tuning-guidance.md.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.fictional import fictional_things
from racm3.data.sample_world.scenes import Chances
from racm3.data.sample_world.things import seen_things
from racm3.evaluation.attributes import dye
from racm3.evaluation.fidelity import faithful
from racm3.evaluation.invented import taught
from racm3.evaluation.report import Estimate, mean, table
from racm3.generation.sampling import Sampling
from racm3.runtime import write_whole
from racm3.system import RACM3, Settings

DEV, THINGS = 500, 200
ROOT = Path(__file__).parents[1]


def drawn(system: RACM3, some, among, settings: Settings) -> tuple[Estimate, Estimate]:
    """The right thing, and the right thing in the dye asked for, or in none where none is."""
    right, both = [], []
    for n, (scene, one) in enumerate(some):
        made = system.draw(one.text, replace(settings, seed=n)).image
        right.append(float(faithful(made, scene, among=among)))
        both.append(right[-1] * (dye(made, scene) == scene.dye))
    return mean(right), mean(both)


def named(system: RACM3, some, settings: Settings) -> Estimate:
    right = []
    for n, (scene, one) in enumerate(some):
        said = system.caption(one.images[0], replace(settings, seed=n)).text
        right.append(float(scene.things[0].name in said))
    return mean(right)


VARIED: dict[str, Callable[[Settings], list[Settings]]] = {
    "temperature": lambda best: [
        replace(best, sampling=Sampling(temperature=one)) for one in (0.7, 0.3, 0.1)
    ],
    "top-p": lambda best: [replace(best, sampling=replace(best.sampling, top_p=0.9))],
    "candidates": lambda best: [replace(best, candidates=one) for one in (4, 8)],
    "context weight": lambda best: [
        replace(best, guidance=replace(best.guidance, context_weight=one))
        for one in (1.25, 1.5, 2.0, 3.0)
    ],
    "guidance": lambda best: [
        replace(best, guidance=replace(best.guidance, weight=one)) for one in (1.25, 1.5)
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--only", choices=VARIED)
    chosen = parser.parse_args()
    among = fictional_things(seen_things(), THINGS, seed=DEV)
    documents = [thing.document() for thing in among]
    system = taught(RACM3.open(chosen.system, device="cpu"), documents)
    some, dyed = (
        scenes(among, chosen.count, seed=DEV, things_each=1, chances=Chances(dyed=share))
        for share in (0.0, 1.0)
    )
    rows: list[dict[str, object]] = []

    def scored(name: str, one: Settings) -> tuple[float, Settings]:
        (right, _), (right_dyed, both) = (drawn(system, of, among, one) for of in (some, dyed))
        scores = {"drawn right": right, "dyed, both right": both, "named": named(system, some, one)}
        settings = {
            "varied": name,
            "temperature": one.sampling.temperature,
            "top-p": one.sampling.top_p,
            "guidance": one.guidance.weight,
            "candidates": one.candidates,
            "context weight": one.guidance.context_weight,
        }
        shown = {"dyed, drawn right": right_dyed} | scores
        rows.append(settings | {name: str(score) for name, score in shown.items()})
        print(rows[-1], file=sys.stderr, flush=True)
        return sum(score.value for score in scores.values()), one

    known = scored("", system.parts.settings if chosen.only else Settings())
    for name in [chosen.only] if chosen.only else VARIED:
        found = [known, *(scored(name, one) for one in VARIED[name](known[1]))]
        known = max(found, key=lambda pair: pair[0])
    place = chosen.system.resolve()
    shown = place.relative_to(ROOT) if place.is_relative_to(ROOT) else chosen.system
    only = f' --only "{chosen.only}"' if chosen.only else ""
    command = f"python runs/tune.py {shown} --count {chosen.count}{only}"
    text = f"# Decoding, chosen on things that no training met\n\n`{command}`\n\n{table(rows)}\n"
    file = f"tuning-{chosen.only.replace(' ', '-')}.md" if chosen.only else "tuning.md"
    write_whole(ROOT / "docs/results" / file, text)
    print(known[1])


if __name__ == "__main__":
    main()
