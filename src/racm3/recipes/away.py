"""Generators that another machine trains side by side: packed here, trained there, brought back.

A pack holds ids and numbers alone: no document, no tokenizer, no CLIP. There it takes

    python -m racm3.recipes.away train PACK RUNS --device cuda

and what that imports: torch, numpy, einops, jaxtyping, safetensors, tokenizers, filelock, Pillow,
snowballstemmer. What it leaves in RUNS lies as if it had been trained here.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from racm3.data.stream import StreamConfig
from racm3.errors import ConfigError
from racm3.model.config import GeneratorConfig
from racm3.model.export import open_generator, save_generator
from racm3.recipes.collection import Beginning
from racm3.recipes.job import Job
from racm3.runtime import device, folder_written_whole, load_json, save_json
from racm3.tokens.masking import Masking
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig

JOB, CODES, WEIGHTS, JOBS = "job.json", "codes.npy", "weights", "jobs"
SAID, LOG = "said.txt", "log.jsonl"


def pack(jobs: Mapping[str, Job], folder: Path) -> None:
    """Everything that these need, by the name of the folder that each trains into.

    Raises:
        ConfigError: One starts from something that a pack cannot hold.
    """
    with folder_written_whole(folder) as made:
        places = dict.fromkeys(
            place for job in jobs.values() for place in (job.material, job.validation) if place
        )
        names = {place: f"material/{number}" for number, place in enumerate(places)}
        for place, name in names.items():
            shutil.copytree(place, made / name)
        for name, job in jobs.items():
            here = made / JOBS / name
            save_json(
                here / JOB,
                {
                    "material": names[job.material],
                    "validation": names[job.validation] if job.validation else None,
                    "size": _start(job.beginning, here),
                    "training": asdict(job.training),
                    "stream": asdict(job.stream),
                    "loop": asdict(job.loop),
                },
            )


def _start(beginning: Beginning, here: Path) -> dict[str, Any] | None:
    here.mkdir(parents=True)
    if beginning.extend or beginning.parents is not None:
        raise ConfigError("a pack holds generators that start fresh, or from weights as they are")
    if beginning.weights is not None:
        shutil.copytree(beginning.weights, here / WEIGHTS)
        return None
    if beginning.codes is not None:
        np.save(here / CODES, beginning.codes.detach().cpu().float().numpy(), allow_pickle=False)
    return asdict(beginning.size) if beginning.size else None


def opened(place: Path, root: Path) -> Job:
    """The job that lies at `place` in the pack at `root`."""
    said = load_json(place / JOB)
    stream, training, size = said["stream"], said["training"], said["size"]
    stream |= {"masking": Masking(**stream["masking"]), "counts": tuple(stream["counts"])}
    codes = place / CODES
    beginning = Beginning(
        size=GeneratorConfig(**size) if size else None,
        weights=None if size else place / WEIGHTS,
        codes=torch.from_numpy(np.load(codes)) if codes.exists() else None,
    )
    return Job(
        material=root / said["material"],
        validation=root / said["validation"] if said["validation"] else None,
        beginning=beginning,
        training=GeneratorTraining(**training | {"betas": tuple(training["betas"])}),
        stream=StreamConfig(**stream),
        loop=LoopConfig(**said["loop"]),
    )


def train_all(folder: Path, out: Path, *, on: str) -> list[str]:
    """Train every job of a pack, all at once, each in a process of its own; which of them failed.

    Small generators leave most of a card idle, and packing rows takes a core each. Killed at any
    time, the same call goes on from the checkpoints.

    Raises:
        ConfigError: There is no job in `folder`.
    """
    root = folder / JOBS
    names = sorted(str(path.parent.relative_to(root)) for path in root.rglob(JOB))
    if not names:
        raise ConfigError(f"{folder} holds no job; a folder that `pack` wrote is expected")
    environment, started = {"OMP_NUM_THREADS": "1", **os.environ}, {}
    for name in names:
        (out / name).mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "racm3.recipes.away", "train", str(folder), str(out)]
        with (out / name / SAID).open("w") as said:
            started[name] = subprocess.Popen(
                [*command, "--device", on, "--job", name],
                stdout=said, stderr=said, env=environment,
            )  # fmt: skip
    return [name for name, process in started.items() if process.wait()]


def train_job(folder: Path, name: str, out: Path, *, on: str) -> None:
    """Train one job of a pack into the folder of its name."""
    opened(folder / JOBS / name, folder).train(out / name, on=device(on))


def halved(runs: Path, out: Path) -> None:
    """What finished among `runs`, in half precision, and every log: small enough to carry home."""
    for final in sorted(runs.rglob("final")):
        place = out / final.relative_to(runs)
        save_generator(open_generator(final), place, dtype=torch.float16)
    for log in sorted(runs.rglob(LOG)):
        place = out / log.relative_to(runs)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, place)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = asked.add_subparsers(dest="verb", required=True)
    learning = verbs.add_parser("train", help="train all jobs of a pack side by side; resumable")
    learning.add_argument("pack", type=Path, help="what was packed")
    learning.add_argument("runs", type=Path, help="where runs go; the same again goes on with them")
    learning.add_argument("--device", default="auto", help="auto, cpu or cuda")
    learning.add_argument("--job", help="only this one, in this process")
    homeward = verbs.add_parser("halve", help="finished generators in half precision, and logs")
    homeward.add_argument("runs", type=Path, help="where runs went")
    homeward.add_argument("out", type=Path, help="what to carry home")
    said = asked.parse_args()
    if said.verb == "halve":
        halved(said.runs, said.out)
    elif said.job:
        train_job(said.pack, said.job, said.runs, on=said.device)
    else:
        failed = train_all(said.pack, said.runs, on=said.device)
        for name in failed:
            words = (said.runs / name / SAID).read_text(encoding="utf-8")
            sys.stderr.write(f"{name} failed:\n{words[-2000:]}\n")
        sys.exit(bool(failed))


if __name__ == "__main__":
    main()
