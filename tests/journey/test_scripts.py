"""The scripts of `runs/`, started as people start them."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from racm3.document import Image
from racm3.interfaces.cli.main import build_parser
from racm3.recipes.study.budgets import BUDGETS
from racm3.recipes.study.plan import chosen
from racm3.system.parts import open_parts

ROOT = Path(__file__).parents[2]


def begun(run: Path, folder: Path) -> Path:
    """A copy of a run whose generators are still to be trained."""
    later = shutil.ignore_patterns("racm3", "cm3", "system")
    return shutil.copytree(run, folder, ignore=later)


def test_the_gpu_script_makes_a_system_that_opens_and_goes_on(run, tmp_path):
    """On the CPU with the tiny recipe: what a lent machine runs, and what comes back from it."""
    begun(run, tmp_path / "run")
    environment = {
        **os.environ,
        "OUT": str(tmp_path / "out"),
        "RUN": str(tmp_path / "run"),
        "RECIPE": "tiny",
        "DEVICE": "cpu",
        "PYTHON": sys.executable,
    }
    further = {"AFTER": str(tmp_path / "run/system"), "RECIPE": "tiny_course"}
    further |= {"RUN": str(tmp_path / "more"), "OUT": str(tmp_path / "further")}
    for more in ({}, {}, further):
        env = environment | more
        subprocess.run(["runs/gpu.sh"], cwd=ROOT, env=env, check=True, capture_output=True)
    assert (tmp_path / "more/system/racm3-2.log.jsonl").exists()
    pieces = b"".join(p.read_bytes() for p in sorted((tmp_path / "out").glob("system.tgz.*")))
    with tarfile.open(fileobj=io.BytesIO(pieces)) as archive:
        archive.extractall(tmp_path, filter="data")
    assert sorted(open_parts(tmp_path / "system", None, torch.device("cpu")).generators) == [
        "cm3",
        "racm3",
    ]


def test_the_gpu_script_trains_what_was_packed_here(run, tmp_path):
    """Stage `pack` here, `runs/gpu.sh` there, and what comes back is the finished stage."""
    run = begun(run, tmp_path / "run")
    racm3_ = str(Path(sys.executable).with_name("racm3"))
    tiny = [racm3_, "train", "sample", "--recipe", "tiny", "--out", str(run), "--stage"]
    subprocess.run([*tiny, "pack"], check=True, cwd=ROOT, capture_output=True)
    places = {
        "PACK": str(run / "pack"),
        "OUT": str(tmp_path / "out"),
        "RUN": str(tmp_path / "there"),
    }
    environment = {**os.environ, **places, "DEVICE": "cpu", "PYTHON": sys.executable}
    subprocess.run(["runs/gpu.sh"], cwd=ROOT, env=environment, check=True, capture_output=True)
    pieces = b"".join(p.read_bytes() for p in sorted((tmp_path / "out").glob("runs.tgz.*")))
    with tarfile.open(fileobj=io.BytesIO(pieces)) as archive:
        archive.extractall(run, filter="data")
    assert (run / "racm3/0/final").exists()
    assert (run / "cm3/0/log.jsonl").exists()
    subprocess.run([*tiny, "pack"], check=True, cwd=ROOT, capture_output=True)
    assert sorted(path.name for path in (run / "pack/jobs").glob("*/*")) == ["1", "1"]


def sample_script(recipe: str, folder: Path, **more: str) -> None:
    racm3_ = str(Path(sys.executable).with_name("racm3"))
    environment = {**os.environ, "RACM3": racm3_, "COUNT": "1", "THREADS": "1", **more}
    command = ["runs/sample.sh", recipe, str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def test_the_sample_script_goes_on_from_a_finished_system(tmp_path):
    """Every stage says what it goes on from; what they do is tested elsewhere."""
    stub, said = tmp_path / "racm3", tmp_path / "said"
    stub.write_text(f'#!/bin/sh\necho "$OMP_NUM_THREADS $@" >> {said}\n')
    stub.chmod(0o755)
    sample_script("tiny_words", tmp_path / "run", RACM3=str(stub), AFTER="sample", COUNT="0")
    lines = [line.split() for line in said.read_text().splitlines()]
    asked = [build_parser().parse_args(words)["train"]["sample"] for _, *words in lines]
    assert {one.after for one in asked} == {"sample"}
    assert {one.recipe for one in asked} == {"tiny_words"}
    assert sorted(one.stage for one in asked[:2]) == ["clip", "tokenizer"]
    assert (lines[2][0], asked[2].stage) == ("2", "prepared")
    assert sorted(one.stage for one in asked[3:5]) == ["cm3", "racm3"]
    assert [one.stage for one in asked[5:]] == ["system"]


def test_the_sample_script_goes_from_nothing_to_measured(tmp_path):
    """All stages with the tiny recipe, two of them side by side, then the measurements."""
    sample_script("tiny", tmp_path)
    report = (tmp_path / "results" / "sample.md").read_text()
    assert "image perplexity, K = 2" in report
    assert "1 held-out thing(s)" in report
    assert (tmp_path / "results" / "sample-failures.png").exists()
    logs = {path.name.removesuffix(".log.jsonl") for path in (tmp_path / "system").glob("*.jsonl")}
    courses = {f"{name}-{number}" for name in ("racm3", "cm3") for number in (0, 1)}
    assert logs == {"tokenizer", "clip", *courses}


@pytest.mark.parametrize("script", ["own_pictures", "losses"])
def test_the_pictures_of_readme_and_model_card_are_made_by_their_scripts(tmp_path, script):
    command = [sys.executable, f"runs/{script}.py", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    picture = f"{script.replace('_', '-')}.png"
    made, shown = (folder / picture for folder in (tmp_path, ROOT / "docs/results"))
    assert Image.read(made).pixels.shape == Image.read(shown).pixels.shape


def test_the_study_script_says_what_racm3_understands(tmp_path):
    """Every command that it runs parses; what they do is tested elsewhere."""
    stub, said = tmp_path / "racm3", tmp_path / "said"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    stub.chmod(0o755)
    environment = {
        **os.environ,
        "RACM3": str(stub),
        "RESULTS": str(tmp_path / "results"),
        "FLICKR8K": str(tmp_path),
        "CARD": "yes",
    }
    subprocess.run(["runs/study.sh", str(tmp_path / "out")], cwd=ROOT, env=environment, check=True)
    lines = said.read_text().splitlines()
    assert len(lines) == 27  # nine studies, each run by two processes and reported by one
    for line in lines:
        asked = build_parser().parse_args(line.split())["study"][line.split()[1]]
        assert chosen(asked.tables, BUDGETS[asked.budget])
