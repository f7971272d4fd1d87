"""Generators trained on another machine: the same bytes as here, whatever they start from."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from racm3.errors import ConfigError
from racm3.recipes import away
from racm3.recipes.collection import Beginning
from racm3.recipes.study.learnt import RACM3, Learnt, _material, job_of, learn, run_of
from racm3.recipes.study.plan import chosen, pack
from racm3.recipes.study.tables import TABLES
from tests.recipes.conftest import TOY

AWAY = [sys.executable, "-m", "racm3.recipes.away", "train"]


def trained(folder: Path) -> bytes:
    return (folder / "final/model.safetensors").read_bytes()


def test_what_another_machine_trains_is_what_would_be_trained_here(world, tmp_path):
    here, packed, there = (tmp_path / name for name in ("here", "pack", "there"))
    fresh = job_of(RACM3, world, TOY, here)
    other = job_of(Learnt(alpha=0.3), world, TOY, here)
    jobs = {"one": fresh, "more/two": other}
    for name, job in jobs.items():
        job.train(here / name)
    further = replace(
        fresh,
        beginning=Beginning(weights=here / "one/final"),
        validation=_material(RACM3, world, here),
    )
    away.pack({**jobs, "further": further}, packed)
    assert len(list((packed / "material").iterdir())) == 1, "what is shared is packed once"
    subprocess.run([*AWAY, packed, there, "--device", "cpu"], check=True)
    for name in jobs:
        assert trained(there / name) == trained(here / name)
    assert trained(there / "further") != trained(there / "one")
    before = {path: path.stat().st_mtime_ns for path in there.rglob("step-*/*.safetensors")}
    subprocess.run([*AWAY, packed, there, "--device", "cpu"], check=True)
    assert before == {p: p.stat().st_mtime_ns for p in there.rglob("step-*/*.safetensors")}


def test_a_study_packs_what_is_left_and_goes_on_with_what_comes_back(world, tmp_path):
    tables = chosen(["table6", "table5-alpha"], TOY)
    runs = {learnt for one in tables for learnt in TABLES[one.name].learnt}
    folder, packed = tmp_path / "study", tmp_path / "pack"
    assert pack(tables, world, TOY, folder, packed) == len(runs) == 4
    subprocess.run([*AWAY, packed, folder / "runs", "--device", "cpu"], check=True)
    logs = {one: (run_of(one, folder) / away.LOG).read_bytes() for one in runs}
    for one, log in logs.items():
        learn(one, world, TOY, folder)
        assert (run_of(one, folder) / away.LOG).read_bytes() == log, "nothing is trained again"
    with pytest.raises(ConfigError, match="nothing is left"):
        pack(tables, world, TOY, folder, packed)


def test_a_job_that_fails_is_named_and_the_others_are_trained(world, tmp_path):
    packed, there = tmp_path / "pack", tmp_path / "there"
    away.pack({name: job_of(RACM3, world, TOY, tmp_path / "study") for name in "ab"}, packed)
    (packed / "jobs/a" / away.JOB).write_text("{")
    done = subprocess.run([*AWAY, packed, there, "--device", "cpu"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "a failed" in done.stderr
    assert "not valid JSON" in done.stderr
    assert (there / "b/final").exists()
    assert not (there / "a/final").exists()


def test_what_a_pack_cannot_hold_is_refused(world, tmp_path):
    job = job_of(RACM3, world, TOY, tmp_path / "study")
    grown = replace(job, beginning=replace(job.beginning, extend=True))
    with pytest.raises(ConfigError, match="start fresh"):
        away.pack({"one": grown}, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
    with pytest.raises(ConfigError, match="holds no job"):
        away.train_all(tmp_path, tmp_path / "out", on="cpu")
