"""Two systems averaged, of which one went on from the other: often it keeps what both know."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from racm3.errors import ConfigError
from racm3.model.export import WEIGHTS, load_weights
from racm3.runtime import folder_written_whole, load_json, save_json
from racm3.system.parts import MEMORY, require_system
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer


def average_systems(before: Path, after: Path, out: Path, *, share: float = 0.5) -> None:
    """Write `after` with generators between its own and those of `before` (WiSE-FT, Wortsman et
    al. 2022): every weight is (1 - share) of the one and `share` of the other.

    Everything else is that of `after`, whose memory stays where it is. Weights are averaged in
    single precision and stored in the precision of `after`.

    Raises:
        CheckpointError: There is no system at one of the folders, or a broken one.
        ConfigError: They say other ids or have other generators, `share` is none, or `out` is
            there already.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already; choose another folder")
    if not 0 <= share <= 1:
        raise ConfigError(f"{share} is no share between 0 (all of {before}) and 1 (all of {after})")
    about = require_system(after)
    _require_alike(before, after, require_system(before), about)
    left = {*about["generators"], MEMORY}

    def elsewhere(folder: str, names: list[str]) -> set[str]:
        return left & set(names) if Path(folder) == after else set()

    memory = after / about.get("memory", MEMORY)
    if "memory" in about or memory.exists():
        about["memory"] = os.path.relpath(memory.resolve(), out.resolve())
    with folder_written_whole(out) as temporary:
        shutil.copytree(after, temporary, ignore=elsewhere, dirs_exist_ok=True)
        save_json(temporary / "system.json", about)
        for name in about["generators"]:
            average_weights(before / name, after / name, temporary / name, share)


def average_weights(before: Path, after: Path, out: Path, share: float) -> None:
    """One generator's folder of two of the same size."""
    if load_json(before / "config.json") != load_json(after / "config.json"):
        raise ConfigError(f"{before} and {after} are generators of different sizes")
    old, new = load_weights(before / WEIGHTS), load_weights(after / WEIGHTS)
    mixed = {
        name: torch.lerp(old[name].float(), tensor.float(), share).to(tensor.dtype)
        for name, tensor in new.items()
    }
    out.mkdir()
    save_json(out / "config.json", load_json(after / "config.json"))
    save_file(mixed, out / WEIGHTS, metadata={"format": "pt"})


def _require_alike(before: Path, after: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    """An id must mean the same to both."""
    if one["generators"] != other["generators"]:
        raise ConfigError(
            f"{before} has the generators {', '.join(one['generators'])} and {after} "
            f"{', '.join(other['generators'])}; only the same ones can be averaged"
        )
    texts = {TextTokenizer.open(folder / "text").tokenizer.to_str() for folder in (before, after)}
    codes = [
        ImageTokenizer.open(folder / "tokenizer").vqgan.codebook.vectors
        for folder in (before, after)
    ]
    if len(texts) > 1 or not torch.equal(*codes):
        raise ConfigError(
            f"{before} and {after} have tokenizers of their own, so their ids mean different "
            "things; average a system with one that went on from it"
        )
