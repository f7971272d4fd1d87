"""The tour runs from top to bottom, and the memory that was swapped in is the one consulted."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_tour_runs(monkeypatch, tmp_path):
    commands = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    said = ["".join(o.get("text", "") for o in c.get("outputs", [])) for c in notebook.cells]
    assert any("memory@" in one for one in said)
    assert any("1 documents removed" in one and "nothing wrong" in one for one in said)
    shown = [o for c in notebook.cells for o in c.get("outputs", []) if "data" in o]
    assert sum("image/png" in o["data"] for o in shown) >= 3


def test_the_tour_is_committed_without_outputs():
    notebook = nbformat.read(TOUR, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
