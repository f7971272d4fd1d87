"""Causal self-attention over packed rows (training) or over blocks of a cache (generation)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from racm3.model.config import GeneratorConfig


class Rotation(NamedTuple):
    cos: Float[Tensor, "batch 1 seq dim"]
    sin: Float[Tensor, "batch 1 seq dim"]


class Projected(NamedTuple):
    query: Float[Tensor, "batch heads seq dim"]
    key: Float[Tensor, "batch kvheads seq dim"]
    value: Float[Tensor, "batch kvheads seq dim"]


class Block(NamedTuple):
    """Keys and values computed earlier; a batch of one is shared by every sequence."""

    keys: Float[Tensor, "shared kvheads seen dim"]
    values: Float[Tensor, "shared kvheads seen dim"]


def rotation(positions: Int[Tensor, "batch seq"], dim: int, theta: float) -> Rotation:
    """Rotary angles (Su et al. 2021) in Qwen's half-split order."""
    frequency = theta ** (-torch.arange(0, dim, 2, device=positions.device).float() / dim)
    angles = positions[..., None].float() * frequency
    both = torch.cat([angles, angles], dim=-1)[:, None]
    return Rotation(both.cos(), both.sin())


def rotate(
    x: Float[Tensor, "batch heads seq dim"], by: Rotation
) -> Float[Tensor, "batch heads seq dim"]:
    first, second = x.chunk(2, dim=-1)
    return (x * by.cos + torch.cat([-second, first], dim=-1) * by.sin).to(x.dtype)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*axes width"]) -> Float[Tensor, "*axes width"]:
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width, dim = config.width, config.per_head
        self.dim, self.groups = dim, config.heads // config.key_heads
        self.q_proj = nn.Linear(width, config.heads * dim, bias=False)
        self.k_proj = nn.Linear(width, config.key_heads * dim, bias=False)
        self.v_proj = nn.Linear(width, config.key_heads * dim, bias=False)
        self.o_proj = nn.Linear(config.heads * dim, width, bias=False)
        self.q_norm = RMSNorm(dim, config.norm_eps)
        self.k_norm = RMSNorm(dim, config.norm_eps)
        self.fused: Tensor | None = None
        self.scales = torch.empty(0)

    def fuse(self) -> None:
        """For inference: one matrix for queries, keys and values; the three become views of it."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        self.fused = torch.cat([part.weight.data for part in parts])
        pieces = self.fused.split([part.out_features for part in parts])
        for part, piece in zip(parts, pieces, strict=True):
            part.weight.data = piece
        heads = (part.out_features // self.dim for part in parts[:2])
        norms = (self.q_norm.weight, self.k_norm.weight)
        scales = [n.data.expand(h, -1) for n, h in zip(norms, heads, strict=True)]
        self.scales = torch.cat(scales)[:, None]

    def _project_fused(
        self, fused: Tensor, x: Float[Tensor, "batch seq width"], by: Rotation
    ) -> Projected:
        # Plain views: at one id a step, einops would cost as much as the arithmetic.
        batch, seq, _ = x.shape
        heads = F.linear(x, fused).view(batch, seq, -1, self.dim).transpose(1, 2)
        turned, values = heads.split([len(self.scales), heads.shape[1] - len(self.scales)], dim=1)
        normed = F.rms_norm(turned, (self.dim,), None, self.q_norm.eps) * self.scales
        both = rotate(normed, by)
        count = self.groups * values.shape[1]
        return Projected(both[:, :count], both[:, count:], values)

    def project(self, x: Float[Tensor, "batch seq width"], by: Rotation) -> Projected:
        if self.fused is not None:
            return self._project_fused(self.fused, x, by)
        query, key, value = (
            rearrange(project(x), "b s (h d) -> b h s d", d=self.dim)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return Projected(rotate(self.q_norm(query), by), rotate(self.k_norm(key), by), value)

    def forward(
        self,
        x: Float[Tensor, "batch seq width"],
        by: Rotation,
        visible: Bool[Tensor, "batch 1 seq seq"] | None,
    ) -> Float[Tensor, "batch seq width"]:
        """Whole sequences at once; plainly causal where `visible` is not given."""
        query, key, value = self.project(x, by)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=visible,
            is_causal=visible is None,
            enable_gqa=self.groups > 1,
        )
        return self.o_proj(rearrange(mixed, "b h s d -> b s (h d)"))

    def over_blocks(
        self,
        query: Float[Tensor, "batch heads seq dim"],
        blocks: Sequence[Block],
        bias: Float[Tensor, "queries last"] | None = None,
    ) -> Float[Tensor, "batch seq width"]:
        """Attend to several blocks as if they were one; `bias` is added to the last one's scores.

        A block shared by the whole batch is multiplied once, the batch folded into the queries,
        so its bytes are read once however many samples there are.
        """
        batch, _, seq, _ = query.shape
        q = query.reshape(batch, -1, self.groups * seq, self.dim) * self.dim**-0.5
        scores = [_against(q, block.keys.transpose(-1, -2)) for block in blocks]
        if bias is not None:
            scores[-1] = scores[-1] + bias
        weights = torch.cat(scores, dim=-1).softmax(dim=-1)
        parts = weights.split([block.keys.shape[2] for block in blocks], dim=-1)
        mixed = sum(_against(w, block.values) for w, block in zip(parts, blocks, strict=True))
        assert isinstance(mixed, Tensor)
        merged = mixed.reshape(batch, -1, seq, self.dim).transpose(1, 2).flatten(2)
        return self.o_proj(merged)


def causal_bias(seq: int, groups: int, like: Tensor) -> Float[Tensor, "queries seq"]:
    """0 where an id may look, -inf at its future, for every query head that shares a key head."""
    future = torch.full((seq, seq), float("-inf"), device=like.device, dtype=like.dtype).triu(1)
    return future.repeat(groups, 1)


def _against(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, where a `right` of batch one is shared by all of `left`."""
    if right.shape[0] == left.shape[0]:
        return left @ right
    batch, heads, seq, dim = left.shape
    folded = left.transpose(0, 1).reshape(1, heads, batch * seq, dim) @ right
    return folded.view(heads, batch, seq, -1).transpose(0, 1)
