"""Choose decoding for the sample system on scenes of seen things: `python runs/tune.py SYSTEM`.

Fidelity by guidance weight, temperature and candidates; the held-out things are not looked at.
"""

import argparse
import itertools
from pathlib import Path

from racm3.data.sample_world.corpus import scenes
from racm3.data.sample_world.things import seen_things
from racm3.evaluation.fidelity import faithful
from racm3.evaluation.report import mean, table
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.system import RACM3, Settings
from racm3.system.parts import SampleShelf

DEV = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", type=Path)
    parser.add_argument("--count", type=int, default=40)
    chosen = parser.parse_args()
    dim = 128
    system = RACM3.open(chosen.system, memory=SampleShelf(chosen.system, dim), device="cpu")
    some = scenes(seen_things(), chosen.count, seed=DEV, things_each=1)
    rows = []
    grid = itertools.product((1.0, 2.0, 4.0), (1.0, 0.7, 0.4), (1, 8))
    for weight, temperature, candidates in grid:
        settings = Settings(
            candidates=candidates,
            guidance=Guidance(weight=weight),
            sampling=Sampling(temperature=temperature),
        )
        right = [
            float(faithful(system.draw(document.text, settings).image, scene))
            for scene, document in some
        ]
        row = {"guidance": weight, "temperature": temperature, "candidates": candidates}
        rows.append({**row, "fidelity": str(mean(right))})
        print(rows[-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
