"""Choose decoding for the sample system on scenes of seen things: `python runs/tune.py SYSTEM`.

Fidelity by temperature, then by guidance weight, then by candidates, each with the best of
what came before; the held-out things are not looked at. Writes docs/results/tuning.md.
"""

import argparse
import sys
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


def tried(settings: Settings) -> list[tuple[str, list[Settings]]]:
    temperatures = [replace(settings, sampling=Sampling(temperature=t)) for t in (1, 0.7, 0.4, 0.1)]
    guided = [replace(settings, guidance=Guidance(weight=w)) for w in (1.0, 1.5, 2.0, 3.0)]
    more = [replace(settings, candidates=n) for n in (1, 4, 8)]
    return [("temperature", temperatures), ("guidance", guided), ("candidates", more)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", type=Path)
    parser.add_argument("--count", type=int, default=60)
    chosen = parser.parse_args()
    system = RACM3.open(chosen.system, device="cpu")
    some = scenes(seen_things(), chosen.count, seed=DEV, things_each=1)
    best, rows = Settings(), []
    for number, (name, _) in enumerate(tried(best)):
        scored = []
        for one in tried(best)[number][1]:
            score = fidelity(system, some, one)
            scored.append((score, one))
            rows.append(
                {
                    "varied": name,
                    "temperature": one.sampling.temperature,
                    "guidance": one.guidance.weight,
                    "candidates": one.candidates,
                    "fidelity": str(score),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
        best = max(scored, key=lambda pair: pair[0].value)[1]
    command = f"python runs/tune.py {chosen.system.name} --count {chosen.count}"
    text = f"# Decoding, chosen on scenes of seen things\n\n`{command}`\n\n{table(rows)}\n"
    write_whole(ROOT / "docs/results/tuning.md", text)
    print(best)


if __name__ == "__main__":
    main()
