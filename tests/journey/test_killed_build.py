"""kill -9 while a memory is being built: nothing acknowledged is lost, the same command goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from racm3.retrieval.memory import MemoryStore
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


def _data_files(memory: Path) -> int:
    """When a second file appears, the first batch has been acknowledged."""
    return len(list(memory.glob("documents.lance/data/*.lance")))
