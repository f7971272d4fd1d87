"""Every benchmark still runs, at a size that says nothing about speed."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(one for one in FOLDER.glob("*.py") if one.stem != "common")
SMALL = {
    "best_of_n": ["--repeats", "1"],
    "decoding": ["--repeats", "1", "--most", "1"],
    "filling": ["--documents", "2", "--large", "1", "--repeats", "1", "--layers", "1"],
    "indexed": ["--largest", "500", "--repeats", "1"],
    "many": ["--repeats", "1", "--count", "1"],
    "search": ["--largest", "500", "--repeats", "1"],
    "serving": ["--requests", "1"],
    "training": ["--repeats", "1", "--rows", "1", "--length", "256", "--compiled", "0"],
}


@pytest.mark.parametrize("script", SCRIPTS, ids=[one.stem for one in SCRIPTS])
def test_a_benchmark_ends_with_a_table(script, tmp_path):
    command = [sys.executable, str(script), "--threads", "1", *SMALL[script.stem]]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [line for line in run.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) > 2
