"""Choose decoding for the sample system on scenes of seen things: `python runs/tune.py SYSTEM`.

Fidelity by temperature, top-p, guidance weight and candidates, each with the best of what came
before; the held-out things are not looked at. Writes docs/results/tuning.md.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.things import seen_things
from racm3.evaluation.fidelity import faithful
from racm3.evaluation.report import Estimate, mean, table
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.runtime import write_whole
from racm3.system import RACM3, Settings

DEV = 500
ROOT = Path(__file__).parents[1]


def fidelity(system: RACM3, some, settings: Settings) -> Estimate:
    return mean(
        [
            float(faithful(system.draw(one.text, replace(settings, seed=n)).image, scene))
            for n, (scene, one) in enumerate(some)
        ]
    )


VARIED: dict[str, Callable[[Settings], list[Settings]]] = {
    "temperature": lambda best: [
        replace(best, sampling=Sampling(temperature=one)) for one in (0.7, 0.3, 0.1)
    ],
    "top-p": lambda best: [replace(best, sampling=replace(best.sampling, top_p=0.9))],
    "guidance": lambda best: [replace(best, guidance=Guidance(weight=one)) for one in (1.5, 2.5)],
    "candidates": lambda best: [replace(best, candidates=one) for one in (4, 8)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", type=Path)
    parser.add_argument("--count", type=int, default=60)
    chosen = parser.parse_args()
    system = RACM3.open(chosen.system, device="cpu")
    some = scenes(seen_things(), chosen.count, seed=DEV)
    rows: list[dict[str, object]] = []

    def scored(name: str, one: Settings) -> tuple[Estimate, Settings]:
        score = fidelity(system, some, one)
        rows.append(
            {
                "varied": name,
                "temperature": one.sampling.temperature,
                "top-p": one.sampling.top_p,
                "guidance": one.guidance.weight,
                "candidates": one.candidates,
                "fidelity": str(score),
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
        return score, one

    known = scored("", Settings())
    for name, ways in VARIED.items():
        found = [known, *(scored(name, one) for one in ways(known[1]))]
        known = max(found, key=lambda pair: pair[0].value)
    command = f"python runs/tune.py {chosen.system.name} --count {chosen.count}"
    text = f"# Decoding, chosen on scenes of seen things\n\n`{command}`\n\n{table(rows)}\n"
    write_whole(ROOT / "docs/results/tuning.md", text)
    print(known[1])


if __name__ == "__main__":
    main()
