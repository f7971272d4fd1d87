"""Ids to logits: the decoder itself. It knows nothing of tokens, losses or sampling."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from racm3.errors import ConfigError
from racm3.model.attention import Attention, RMSNorm, Rotation, rotation, row_major
from racm3.model.config import GeneratorConfig
from racm3.model.packed import Packing


class MLP(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.width, bias=False)
        self.fused: Tensor | None = None

    def fuse(self) -> None:
        """For inference: gate and up in one matrix, of which the two become views."""
        self.fused = row_major(torch.cat([self.gate_proj.weight.data, self.up_proj.weight.data]))
        self.gate_proj.weight.data, self.up_proj.weight.data = self.fused.chunk(2)
        self.down_proj.weight.data = row_major(self.down_proj.weight.data)

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        if self.fused is not None:
            gate, up = F.linear(x, self.fused).chunk(2, dim=-1)
            return self.down_proj(F.silu(gate) * up)
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)

    def forward(
        self,
        x: Float[Tensor, "batch seq width"],
        by: Rotation,
        packing: Packing | None,
    ) -> Float[Tensor, "batch seq width"]:
        x = x + self.self_attn(self.input_layernorm(x), by, packing)
        return x + self.mlp(self.post_attention_layernorm(x))


Then = Callable[[Float[Tensor, "batch seq width"], Float[Tensor, "vocab width"]], Tensor]


class Transformer(nn.Module):
    """Parameter names are Qwen3's, so exporting is a copy; the head may be tied.

    With `recompute` only what stands between the layers is kept for the backward pass (Chen et al.
    2016, arXiv 1604.06174).
    """

    layers: Sequence[Layer]
    recompute = False

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.embed_places = nn.Embedding(config.period, config.width) if config.period else None
        self.layers = nn.ModuleList(  # type: ignore[assignment]
            Layer(config) for _ in range(config.depth)
        )
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.lm_head = (
            None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        )
        self.apply(_initialise)
        for layer in self.layers:
            for last in (layer.self_attn.o_proj, layer.mlp.down_proj):
                nn.init.normal_(last.weight, std=0.02 / (2 * config.depth) ** 0.5)

    @property
    def device(self) -> torch.device:
        return self.embed_tokens.weight.device

    def fuse(self) -> "Transformer":
        """Fewer, larger products for inference, at no cost in memory; not for training."""
        for layer in self.layers:
            for part in (
                layer.self_attn, layer.mlp, layer.input_layernorm, layer.post_attention_layernorm
            ):  # fmt: skip
                part.fuse()
        self.norm.fuse()
        return self.requires_grad_(False)

    def rotation(self, positions: Int[Tensor, "batch seq"]) -> Rotation:
        return rotation(positions, self.config.per_head, self.config.rope_theta)

    def embed(
        self, ids: Int[Tensor, "batch seq"], positions: Int[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq width"]:
        x = self.embed_tokens(ids)
        if self.embed_places is not None:
            x = x + self.embed_places(positions % self.config.period)
        return x

    def hidden(
        self,
        ids: Int[Tensor, "batch seq"],
        positions: Int[Tensor, "batch seq"] | None = None,
        sample: Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq width"]:
        """`sample` numbers the samples packed into each row; no sample sees another."""
        if ids.shape[1] > self.config.context:
            raise ConfigError(
                f"{ids.shape[1]} ids were given to a generator with a context of "
                f"{self.config.context}; use fewer documents or a longer context"
            )
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
        packing = None if sample is None else Packing.of(sample)
        by, x = self.rotation(positions), self.embed(ids, positions)
        for layer in self.layers:
            if self.recompute:
                x = checkpoint(layer, x, by, packing, use_reentrant=False)
            else:
                x = layer(x, by, packing)
        return self.norm(x)

    @property
    def head(self) -> Float[Tensor, "vocab width"]:
        """The output matrix: the embedding itself where they are tied."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def logits(self, hidden: Float[Tensor, "*axes width"]) -> Float[Tensor, "*axes vocab"]:
        return F.linear(hidden, self.head)

    def forward(
        self,
        ids: Int[Tensor, "batch seq"],
        positions: Int[Tensor, "batch seq"] | None = None,
        sample: Int[Tensor, "batch seq"] | None = None,
        *,
        then: Then | None = None,
    ) -> Tensor:
        """Logits, of shape (batch, seq, vocab), or what `then` makes of the hidden states and the
        head instead."""
        hidden = self.hidden(ids, positions, sample)
        return self.logits(hidden) if then is None else then(hidden, self.head)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
