"""A VQGAN of the public family as a folder that `diffusers`' VQModel opens."""

import re
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from racm3.errors import ConfigError
from racm3.runtime import save_json
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.vqgan.family import FamilyConfig, FamilyVQGAN

ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def export_vqmodel(tokenizer: ImageTokenizer, folder: Path) -> None:
    """Config and weights. Codes of unit length are written at that length: VQModel looks for the
    nearest one, which is the same one, and decodes it as it is.

    Raises:
        ConfigError: The shapes do not allow it: our own VQGAN, or a Gumbel model.
    """
    vqgan = tokenizer.vqgan
    if not isinstance(vqgan, FamilyVQGAN) or vqgan.config.gumbel:
        raise ConfigError(
            "only VQGANs that `racm3 import tokenizer` took over, and no Gumbel ones, have "
            "VQModel's shapes; this tokenizer reads and writes pictures differently"
        )
    state = {named(name): value.detach().cpu() for name, value in vqgan.state_dict().items()}
    if vqgan.config.unit:
        codes = state["quantize.embedding.weight"]
        state["quantize.embedding.weight"] = F.normalize(codes, dim=-1)
    folder.mkdir(parents=True, exist_ok=True)
    save_json(folder / "config.json", about(vqgan.config))
    whole = {name: flat(name, value).contiguous() for name, value in state.items()}
    save_file(whole, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def about(config: FamilyConfig) -> dict[str, object]:
    """VQModel's config.json."""
    plain = len(config.multipliers) - 1
    return {
        "_class_name": "VQModel",
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ["DownEncoderBlock2D"] * plain + ["AttnDownEncoderBlock2D"],
        "up_block_types": ["AttnUpDecoderBlock2D"] + ["UpDecoderBlock2D"] * plain,
        "block_out_channels": [config.base * one for one in config.multipliers],
        "layers_per_block": config.blocks,
        "act_fn": "silu",
        "latent_channels": config.latent,
        "sample_size": config.side,
        "num_vq_embeddings": config.codes,
        "norm_num_groups": config.groups,
        "vq_embed_dim": config.code_width,
        "lookup_from_codebook": True,
    }


def named(name: str) -> str:
    """A tensor's name there."""
    name = name.replace("codebook.", "quantize.").replace("norm_out", "conv_norm_out")
    name = name.replace("nin_shortcut", "conv_shortcut")
    name = re.sub(r"\.mid\.block_(\d)", lambda m: f".mid_block.resnets.{int(m[1]) - 1}", name)
    name = name.replace(".mid.attn_1", ".mid_block.attentions.0")
    name = re.sub(r"\.(down|up)\.(\d+)\.block", r".\1_blocks.\2.resnets", name)
    name = re.sub(r"\.(down|up)\.(\d+)\.attn", r".\1_blocks.\2.attentions", name)
    name = re.sub(r"\.(down|up)\.(\d+)\.(down|up)sample", r".\1_blocks.\2.\3samplers.0", name)
    return re.sub(
        r"(attentions\.\d+)\.(\w+)\.", lambda m: f"{m[1]}.{ATTENTION.get(m[2], m[2])}.", name
    )


def flat(name: str, value: Tensor) -> Tensor:
    """Attention's 1 x 1 convolutions are linear layers there."""
    return value.flatten(1) if ".attentions." in name and value.dim() == 4 else value
