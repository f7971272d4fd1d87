"""A finished run of the tiny recipe, for everything that comes after one."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from racm3.recipes.build import Build
from racm3.recipes.tiny import tiny


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Made once, however many processes test; who comes second opens it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "run"
    with FileLock(f"{folder}.lock"):
        Build(tiny(), folder, on="cpu").system()
    return folder
