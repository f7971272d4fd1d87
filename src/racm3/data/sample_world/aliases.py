"""What else people call the things of the sample world."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def aliases() -> Mapping[str, tuple[str, ...]]:
    """Other names by the name of their thing."""
    text = (files("racm3.assets") / "sample" / "aliases.txt").read_text(encoding="utf-8")
    lines = (line.split(": ") for line in text.splitlines() if not line.startswith("#"))
    return {name: tuple(said.split(", ")) for name, said in lines}
