"""The architecture, as a test: every package may import from the floors below it, never above."""

import ast
from pathlib import Path

import pytest

import racm3

FLOORS = (
    {"document", "config", "errors", "runtime", "sharing", "assets"},
    {"tokens"},
    {"model"},
    {"retrieval"},
    {"data"},
    {"training", "generation"},  # neighbours: neither may import the other
    {"system"},
    {"evaluation"},
    {"recipes"},
    {"interfaces"},
)
GROUND = FLOORS[0]
ROOT = Path(racm3.__file__).parent
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.parent != ROOT or not p.stem.startswith("__")]


def imported(path: Path) -> set[str]:
    """Which of our own packages a file imports, wherever in the file it does so."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("racm3.")}


def within(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path):
    here = within(path)
    allowed = {there for there in HEIGHT if HEIGHT[there] < HEIGHT[here]} | {here, "__version__"}
    if here in GROUND:
        allowed |= GROUND
    climbing = imported(path) - allowed
    assert not climbing, f"{here} must not import {sorted(climbing)}"


def test_every_package_has_a_floor():
    packages = {within(path) for path in FILES}
    assert packages <= set(HEIGHT)


def test_the_retriever_and_the_model_know_no_tokens_but_their_loaders():
    for path in (ROOT / "model").rglob("*.py"):
        assert "tokens" not in imported(path), path
