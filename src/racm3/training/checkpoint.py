"""Training state on disk: a folder that appears whole, safetensors and JSON, never pickle."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from racm3.errors import CheckpointError
from racm3.runtime import folder_written_whole, load_json, save_json

FORMAT = 1


class Saved(NamedTuple):
    step: int
    tensors: dict[str, Tensor]
    about: dict[str, Any]


def save(folder: Path, step: int, tensors: dict[str, Tensor], about: dict[str, Any]) -> Path:
    """Write `folder/step-XXXXXXXX`; a crash leaves either the whole folder or none of it."""
    path = folder / f"step-{step:08d}"
    with folder_written_whole(path) as temporary:
        own = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        save_file(
            {name: tensor.contiguous() for name, tensor in own.items()},
            temporary / "state.safetensors",
        )
        save_json(temporary / "state.json", {"format": FORMAT, "step": step, **about})
    return path


def steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-????????"))


def prune(folder: Path, *, keep: int) -> None:
    for old in steps(folder)[:-keep]:
        shutil.rmtree(old)


def load(path: Path) -> Saved:
    about = load_json(path / "state.json")
    if about.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a checkpoint of format {about.get('format')}; this racm3 reads {FORMAT}"
        )
    try:
        tensors = load_file(path / "state.safetensors")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}); remove it to resume earlier"
        ) from error
    return Saved(about["step"], tensors, about)


def optimizer_tensors(optimizer: torch.optim.Optimizer, *, name: str) -> dict[str, Tensor]:
    """An optimizer's state as named tensors; learning rates are functions of the step."""
    state = optimizer.state_dict()["state"]
    return {
        f"{name}.{index}.{key}": value
        for index, entry in state.items()
        for key, value in entry.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: dict[str, Tensor],
    *,
    name: str,
    cut: Callable[[Tensor, Tensor], Tensor] = lambda tensor, _: tensor,
) -> None:
    """`cut` makes of each tensor what belongs to this process, like the weight it stands for."""
    whole = optimizer.state_dict()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for full, value in tensors.items():
        if full.startswith(f"{name}."):
            _, index, key = full.rsplit(".", 2)
            state.setdefault(int(index), {})[key] = cut(value, weights[int(index)])
    whole["state"] = state
    optimizer.load_state_dict(whole)


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries below `prefix.`, with the prefix taken off."""
    return {
        k.removeprefix(f"{prefix}."): v for k, v in tensors.items() if k.startswith(f"{prefix}.")
    }


def named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
