"""A generator as a folder: a `Qwen3ForCausalLM` unless it has learnt positions; and back."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from racm3.errors import CheckpointError
from racm3.model.config import GeneratorConfig
from racm3.model.transformer import Transformer
from racm3.runtime import load_json, save_json

WEIGHTS = "model.safetensors"
# A generator with learnt positions is none of Qwen3's: other libraries must not open it as one.
OURS = {"architectures": ["Racm3Generator"], "model_type": "racm3"}


def to_qwen3(config: GeneratorConfig) -> dict[str, Any]:
    """The config.json of `transformers`; another model's where Qwen3 lacks what this one has."""
    values = _qwen3(config)
    return {**values, **OURS, "period": config.period} if config.period else values


def _qwen3(config: GeneratorConfig) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_heads,
        "head_dim": config.per_head,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied,
        "attention_bias": False,
        "hidden_act": "silu",
        "use_sliding_window": False,
    }


def from_qwen3(values: dict[str, Any], path: Path) -> GeneratorConfig:
    if values.get("model_type") not in ("qwen3", OURS["model_type"]):
        raise CheckpointError(
            f"{path} describes a {values.get('model_type')!r} model; a Qwen3 folder is expected"
        )
    rope = values.get("rope_parameters") or {}
    try:
        return GeneratorConfig(
            width=values["hidden_size"],
            depth=values["num_hidden_layers"],
            heads=values["num_attention_heads"],
            kv_heads=values["num_key_value_heads"],
            head_width=values["head_dim"],
            mlp_width=values["intermediate_size"],
            vocabulary=values["vocab_size"],
            context=values["max_position_embeddings"],
            rope_theta=float(values.get("rope_theta") or rope["rope_theta"]),
            norm_eps=values["rms_norm_eps"],
            tied=values.get("tie_word_embeddings", False),
            period=values.get("period", 0),
        )
    except KeyError as error:
        raise CheckpointError(f"{path} does not say {error}; a Qwen3 config is expected") from error


def save_generator(
    model: Transformer,
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write config.json and model.safetensors in Qwen3's names, in `dtype` where it is given.

    `weights` are the model's own where they lie elsewhere, such as in slices on many ranks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_json(folder / "config.json", to_qwen3(model.config))
    state = {}
    for name, tensor in (weights or model.state_dict()).items():
        full = name if name.startswith("lm_head") else f"model.{name}"
        state[full] = tensor.detach().cpu().to(dtype or tensor.dtype).contiguous()
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name, as they are stored."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be opened ({error}); copy it again") from error


def open_generator(folder: Path, *, device: torch.device | None = None) -> Transformer:
    path = folder / "config.json"
    model = Transformer(from_qwen3(load_json(path), path))
    weights = folder / WEIGHTS
    state = {k.removeprefix("model."): v.float() for k, v in load_weights(weights).items()}
    if model.config.tied:
        state.pop("lm_head.weight", None)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CheckpointError(f"{weights} does not fit {path}: {first}") from error
    return model.to(device or "cpu").eval()
