"""Public VQGAN weights by the names that their families gave them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from racm3.errors import CheckpointError
from racm3.tokens.vqgan.family import FamilyConfig, FamilyVQGAN

MIDDLE = {"0": "block_1", "1": "attn_1", "2": "block_2"}
# Training's own: discriminators, losses, running averages of the codebook.
NOT_NEEDED = re.compile(r"^(loss|discriminator|epoch|.*(num_batches_tracked|codebook_used))")


def import_vqgan(path: Path, *, side: int) -> FamilyVQGAN:
    """The image tokenizer in a checkpoint of taming-transformers, LlamaGen or Janus.

    Sizes are read off the weights; nothing is unpickled but tensors.

    Args:
        path: A .safetensors file, or a .ckpt, .pt or .bin of tensors.
        side: Picture side in pixels, which the weights do not say.
    """
    state = {
        name: value for name, value in read_tensors(path).items() if not NOT_NEEDED.match(name)
    }
    family = family_of(state, path)
    levels = 1 + max(int(m[1]) for name in state if (m := re.match(LEVEL[family], name)))
    named = {renamed(name, family, levels): value for name, value in state.items()}
    config = sizes(named, side=side, family=family, levels=levels, path=path)
    model = FamilyVQGAN(config)
    wanted = model.state_dict()
    missing = sorted(set(wanted) - set(named))
    if missing:
        raise CheckpointError(f"{path} lacks {missing[0]} ({len(missing)} tensors in all)")
    try:
        model.load_state_dict({name: named[name].float() for name in wanted})
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CheckpointError(f"{path} does not fit the family's shapes: {first}") from error
    return model.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be opened ({error}); copy it again") from error
    except Exception as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and pickled objects are not run; save its "
            "`state_dict` as safetensors on a machine where you trust it"
        ) from error
    for key in ("state_dict", "model", "ema"):
        loaded = loaded[key] if isinstance(loaded.get(key), Mapping) else loaded
    return {name: value for name, value in loaded.items() if isinstance(value, Tensor)}


LEVEL = {
    "llamagen": r"encoder\.conv_blocks\.(\d+)\.",
    "janus": r"encoder\.down\.(\d+)\.",
    "taming": r"encoder\.down\.(\d+)\.",
}


def family_of(state: Mapping[str, Tensor], path: Path) -> str:
    """Told by names; taming and Janus share most of them, but order the decoder's levels apart."""
    if any(name.startswith("encoder.conv_blocks.") for name in state):
        return "llamagen"
    if not any(name.startswith("encoder.down.") for name in state):
        raise CheckpointError(
            f"{path} is no VQGAN of taming-transformers, LlamaGen or Janus: it has no encoder.down"
        )
    ups = [name for name in state if ".upsample." in name]
    return "taming" if not any(name.startswith("decoder.up.0.") for name in ups) else "janus"


def renamed(name: str, family: str, levels: int) -> str:
    """A tensor's name here."""
    name = name.replace("quantize.", "codebook.").replace("codebook.embed.", "codebook.embedding.")
    if family == "taming":
        return re.sub(
            r"^decoder\.up\.(\d+)\.", lambda m: f"decoder.up.{levels - 1 - int(m[1])}.", name
        )
    if family == "llamagen":
        name = name.replace("encoder.conv_blocks", "encoder.down")
        name = name.replace("decoder.conv_blocks", "decoder.up").replace(".res.", ".block.")
        return re.sub(r"\.mid\.(\d)\.", lambda m: f".mid.{MIDDLE[m[1]]}.", name)
    return name


def sizes(
    state: Mapping[str, Tensor], *, side: int, family: str, levels: int, path: Path
) -> FamilyConfig:
    try:
        base = state["encoder.conv_in.weight"].shape[0]
        codes, width = state["codebook.embedding.weight"].shape
        latent = state["encoder.conv_out.weight"].shape[0]
        widths = [state[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)]
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error}; a whole VQGAN is expected") from error
    blocks = sum(bool(re.match(r"encoder\.down\.0\.block\.\d+\.conv1\.weight", n)) for n in state)
    return FamilyConfig(
        side=side,
        codes=codes,
        code_width=width,
        latent=latent,
        base=base,
        multipliers=tuple(one // base for one in widths),
        blocks=blocks,
        unit=family != "taming",
        gumbel="codebook.proj.weight" in state,
        groups=min(32, base),
        family=family,
    )
