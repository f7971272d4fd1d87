"""Schemathesis against our own OpenAPI: whatever it sends is answered as the schema says."""

import subprocess
import sys
from pathlib import Path

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


def test_schemathesis_finds_nothing(live, tmp_path, monkeypatch):
    # What has learnt nothing talks to the end of its room, a hundred times.
    monkeypatch.setattr("racm3.system.racm3.LONGEST_TEXT", 6)
    tool = Path(sys.executable).with_name("schemathesis")
    ran = subprocess.run(
        [
            str(tool), "run", f"{live}/openapi.json", f"--checks={','.join(CHECKS)}",
            "--phases=examples,coverage,fuzzing", "--max-examples=4", "--seed=1",
            "--suppress-health-check=all", "--no-color",
        ],
        capture_output=True, text=True, timeout=400, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
