"""Stopped in the middle: of a memory nothing acknowledged is lost, of a system nothing is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from racm3.data.sample_world.things import things
from racm3.recipes.assembling import assemble_sample
from racm3.recipes.tiny import tiny
from racm3.retrieval.memory import MemoryStore
from racm3.system.parts import open_parts
from tests.conftest import picture

COUNT = 400


def test_a_killed_build_goes_on_where_it_was(tmp_path, encoder):
    encoder.save(tmp_path / "clip")
    source, memory = tmp_path / "source", tmp_path / "memory"
    source.mkdir()
    for i in range(COUNT):
        (source / f"{i:04d}.png").write_bytes(picture(i).png())
        (source / f"{i:04d}.txt").write_text(f"picture number {i}")
    command = [sys.executable, "-m", "racm3", "memory", "build", str(memory), str(source)]
    command += ["--clip", str(tmp_path / "clip")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    while process.poll() is None and _data_files(memory) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    survived = MemoryStore.open(memory)
    kept = survived.ids().tolist()
    before = dict(zip(kept, (e.source for e in survived.entries(kept)), strict=True))
    assert 0 < len(before) < COUNT, "the build was not caught half-way"
    assert survived.verify() == []
    subprocess.run(command, env=environment, check=True)
    whole = MemoryStore.open(memory)
    ids = whole.ids().tolist()
    after = dict(zip(ids, (e.source for e in whole.entries(ids)), strict=True))
    assert len(after) == len(set(after.values())) == COUNT
    assert before.items() <= after.items()
    assert whole.verify() == []


def test_a_system_is_there_whole_or_not_at_all(run, tmp_path, monkeypatch):
    """One without its memory's vectors would open, remember nothing, and not be made again."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("racm3.recipes.assembling.write_sample_vectors", stopped)
    with pytest.raises(KeyboardInterrupt):
        assemble_sample(tiny(), run, tmp_path / "system")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assemble_sample(tiny(), run, tmp_path / "system")
    parts = open_parts(tmp_path / "system", None, torch.device("cpu"))
    assert len(parts.shelf.ids()) == len(things())
    assert {path.name for path in tmp_path.glob("system/*.jsonl")} == {
        path.name for path in run.glob("system/*.jsonl")
    }


def _data_files(memory: Path) -> int:
    """When a second file appears, the first batch has been acknowledged."""
    return len(list(memory.glob("documents.lance/data/*.lance")))
