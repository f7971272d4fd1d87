"""CLIP's two towers (Radford et al. 2021) in the names and arithmetic of `transformers.CLIPModel`.

The same folder opens in both, and a test holds them to the same vectors; this one starts in
milliseconds where importing the other takes seconds.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from racm3.errors import CheckpointError
from racm3.runtime import load_json


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    vocab_size: int = 0
    max_position_embeddings: int = 77
    bos_token_id: int = 0
    eos_token_id: int = 1
    image_size: int = 224
    patch_size: int = 32


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    text_config: TowerConfig
    vision_config: TowerConfig
    projection_dim: int
    logit_scale_init_value: float = 2.6592

    def to_json(self) -> dict[str, Any]:
        """As `transformers` writes it."""
        return {"model_type": "clip", "architectures": ["CLIPModel"], **asdict(self)}

    @classmethod
    def read(cls, folder: Path) -> "ClipConfig":
        values = load_json(folder / "config.json")
        if values.get("model_type") != "clip":
            raise CheckpointError(
                f"{folder} holds a {values.get('model_type')!r} model; a CLIP folder is expected"
            )
        return cls(
            text_config=_tower(values.get("text_config") or {}, TEXT_DEFAULTS),
            vision_config=_tower(values.get("vision_config") or {}, VISION_DEFAULTS),
            projection_dim=values.get("projection_dim", 512),
        )


# What `transformers` leaves out of a config.json when it equals these.
_SHARED: dict[str, Any] = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
TEXT_DEFAULTS: dict[str, Any] = {
    **_SHARED, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 8, "vocab_size": 49408, "max_position_embeddings": 77,
    "bos_token_id": 49406, "eos_token_id": 49407,
}  # fmt: skip
VISION_DEFAULTS: dict[str, Any] = {
    **_SHARED, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "image_size": 224, "patch_size": 32,
}  # fmt: skip


def _tower(values: dict[str, Any], defaults: dict[str, Any]) -> TowerConfig:
    return TowerConfig(**{key: values.get(key, default) for key, default in defaults.items()})


class SelfAttention(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "batch seq width"], visible: Bool[Tensor, "batch 1 seq seq"] | None
    ) -> Float[Tensor, "batch seq width"]:
        query, key, value = (
            rearrange(project(x), "b s (h d) -> b h s d", h=self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        # Spelt out: on a CPU the fused kernel's backward is five times slower at CLIP's lengths.
        scores = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
        if visible is not None:
            scores = scores.masked_fill(~visible, float("-inf"))
        mixed = scores.float().softmax(dim=-1).to(value.dtype) @ value
        return self.out_proj(rearrange(mixed, "b h s d -> b s (h d)"))


class MLP(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        if config.hidden_act not in ("quick_gelu", "gelu"):
            raise CheckpointError(f"CLIP with hidden_act {config.hidden_act!r} is not supported")
        self.quick = config.hidden_act == "quick_gelu"
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        hidden = self.fc1(x)
        return self.fc2(hidden * torch.sigmoid(1.702 * hidden) if self.quick else F.gelu(hidden))


class Layer(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self, x: Float[Tensor, "batch seq width"], visible: Bool[Tensor, "batch 1 seq seq"] | None
    ) -> Float[Tensor, "batch seq width"]:
        x = x + self.self_attn(self.layer_norm1(x), visible)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self,
        x: Float[Tensor, "batch seq width"],
        visible: Bool[Tensor, "batch 1 seq seq"] | None = None,
    ) -> Float[Tensor, "batch seq width"]:
        for layer in self.layers:
            x = layer(x, visible)
        return x


class TextEmbeddings(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq width"]:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class TextTower(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.embeddings = TextEmbeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self, ids: Int[Tensor, "batch seq"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch width"]:
        seq = ids.shape[1]
        causal = torch.ones(seq, seq, dtype=torch.bool, device=ids.device).tril()
        visible = causal[None, None].expand(len(ids), 1, seq, seq)
        hidden = self.final_layer_norm(self.encoder(self.embeddings(ids), visible))
        return hidden[torch.arange(len(ids), device=ids.device), lengths - 1]


class VisionEmbeddings(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.class_embedding = nn.Parameter(torch.randn(width) * 0.02)
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // patch) ** 2 + 1, width)

    def forward(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch seq hidden"]:
        patches = rearrange(self.patch_embedding(pixels), "b c r k -> b (r k) c")
        first = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionTower(nn.Module):
    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.embeddings = VisionEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self,
        pixels: Float[Tensor, "batch 3 height width"],
        patches: Int[Tensor, "batch kept"] | None = None,
    ) -> Float[Tensor, "batch hidden"]:
        """`patches`: which patches each picture keeps (query dropout); all where it is not said."""
        tokens = self.embeddings(pixels)
        if patches is not None:
            chosen = (patches + 1)[..., None].expand(-1, -1, tokens.shape[-1])
            tokens = torch.cat([tokens[:, :1], tokens.gather(1, chosen)], dim=1)
        hidden = self.encoder(self.pre_layrnorm(tokens))
        return self.post_layernorm(hidden[:, 0])


class Clip(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = TextTower(config.text_config)
        self.vision_model = VisionTower(config.vision_config)
        dim = config.projection_dim
        self.visual_projection = nn.Linear(config.vision_config.hidden_size, dim, bias=False)
        self.text_projection = nn.Linear(config.text_config.hidden_size, dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))

    def text(
        self, ids: Int[Tensor, "batch seq"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch dim"]:
        """Text vectors, not normalised; ids are padded on the right, the last real one is EOS."""
        return self.text_projection(self.text_model(ids, lengths))

    def image(
        self,
        pixels: Float[Tensor, "batch 3 height width"],
        patches: Int[Tensor, "batch kept"] | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """Picture vectors, not normalised; pixels as CLIP's preprocessing leaves them."""
        return self.visual_projection(self.vision_model(pixels, patches))
