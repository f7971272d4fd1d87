"""Causal self-attention over packed rows (training) or over blocks of a cache (generation)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from racm3.model.config import GeneratorConfig
from racm3.model.packed import Packing, attend


class Rotation(NamedTuple):
    """Cosines and sines of the angles; the sines of the first half count from the second one's."""

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

    @classmethod
    def joined(cls, blocks: Sequence["Block"]) -> "Block":
        """One block of several that follow each other."""
        keys, values = zip(*blocks, strict=True)
        return cls(torch.cat(keys, dim=2), torch.cat(values, dim=2))


def rotation(positions: Int[Tensor, "batch seq"], dim: int, theta: float) -> Rotation:
    """Rotary angles (Su et al. 2021) in Qwen's half-split order."""
    frequency = theta ** (-torch.arange(0, dim, 2, device=positions.device).float() / dim)
    angles = positions[..., None].float() * frequency
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    return Rotation(torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1))


def rotate(
    x: Float[Tensor, "batch heads seq dim"], by: Rotation
) -> Float[Tensor, "batch heads seq dim"]:
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * by.cos, torch.cat([second, first], dim=-1), by.sin).to(x.dtype)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps
        self.fused: Scale | None = None

    def fuse(self) -> None:
        self.fused = Scale.of(self.weight.data, self.eps)

    def forward(self, x: Float[Tensor, "*axes width"]) -> Float[Tensor, "*axes width"]:
        if self.fused is not None and x.is_cpu:
            return self.fused(x)
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class Scale(NamedTuple):
    """RMSNorm for inference: x / sqrt(|x|^2 + dim eps) * sqrt(dim) weight.

    On a CPU `F.rms_norm` is half a dozen kernels: a fifth of a step that says one id.
    """

    weight: Float[Tensor, "*axes dim"]
    eps: float
    scaled: Float[Tensor, "*axes dim"]
    floor: Float[Tensor, ""]

    @classmethod
    def of(cls, weight: Float[Tensor, "*axes dim"], eps: float) -> "Scale":
        dim = weight.shape[-1]
        return cls(weight, eps, weight * dim**0.5, weight.new_tensor((dim * eps) ** 0.5))

    def __call__(self, x: Tensor) -> Tensor:
        if not x.is_cpu:
            return F.rms_norm(x, x.shape[-1:], None, self.eps) * self.weight
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x / torch.hypot(size, self.floor) * self.scaled


def row_major(weight: Float[Tensor, "out into"]) -> Float[Tensor, "out into"]:
    """The same matrix, laid out so that a product with few rows reads it faster."""
    return weight.t().contiguous().t()


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
        self.scale: Scale | None = None

    def fuse(self) -> None:
        """For inference: one matrix for queries, keys and values; the three become views of it."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        self.fused = row_major(torch.cat([part.weight.data for part in parts]))
        self.o_proj.weight.data = row_major(self.o_proj.weight.data)
        pieces = self.fused.split([part.out_features for part in parts])
        for part, piece in zip(parts, pieces, strict=True):
            part.weight.data = piece
        heads = (part.out_features // self.dim for part in parts[:2])
        norms = (self.q_norm.weight, self.k_norm.weight)
        scales = [n.data.expand(h, -1) for n, h in zip(norms, heads, strict=True)]
        self.scale = Scale.of(torch.cat(scales)[:, None], self.q_norm.eps)

    def _project_fused(
        self, fused: Tensor, scale: Scale, x: Float[Tensor, "batch seq width"], by: Rotation
    ) -> Projected:
        # Plain views: at one id a step, einops would cost as much as the arithmetic.
        batch, seq, _ = x.shape
        heads = F.linear(x, fused).view(batch, seq, -1, self.dim).transpose(1, 2)
        turned = len(scale.weight)
        values = heads[:, turned:]
        both = rotate(scale(heads[:, :turned]), by)
        count = self.groups * values.shape[1]
        return Projected(both[:, :count], both[:, count:], values)

    def project(self, x: Float[Tensor, "batch seq width"], by: Rotation) -> Projected:
        if self.fused is not None and self.scale is not None:
            return self._project_fused(self.fused, self.scale, x, by)
        query, key, value = (
            rearrange(project(x), "b s (h d) -> b h s d", d=self.dim)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return Projected(rotate(self.q_norm(query), by), rotate(self.k_norm(key), by), value)

    def forward(
        self,
        x: Float[Tensor, "batch seq width"],
        by: Rotation,
        packing: Packing | None,
    ) -> Float[Tensor, "batch seq width"]:
        """Whole sequences at once; plainly causal where nothing is packed."""
        mixed = attend(*self.project(x, by), packing)
        return self.o_proj(rearrange(mixed, "b h s d -> b s (h d)"))

    def over_blocks(
        self,
        query: Float[Tensor, "batch heads seq dim"],
        blocks: Sequence[Block],
        bias: Float[Tensor, "*shared queries last"] | None = None,
    ) -> Float[Tensor, "batch seq width"]:
        """Attend to several blocks as if they were one; `bias` is added to the last one's scores,
        every sequence's own to a last block that is not shared.

        A block shared by the whole batch is multiplied once, the batch folded into the queries,
        so its bytes are read once however many samples there are.
        """
        batch, _, seq, _ = query.shape
        q = query.reshape(batch, -1, self.groups * seq, self.dim)
        mixed = (flash if q.is_cpu else softmax)(q, blocks, bias)
        merged = mixed.reshape(batch, -1, seq, self.dim).transpose(1, 2).flatten(2)
        return self.o_proj(merged)


def causal_bias(seq: int, groups: int, like: Tensor) -> Float[Tensor, "queries seq"]:
    """0 where an id may look, -inf at its future, for every query head that shares a key head."""
    future = torch.full((seq, seq), float("-inf"), device=like.device, dtype=like.dtype).triu(1)
    return future.repeat(groups, 1)


Queries = Float[Tensor, "batch kvheads queries dim"]


def softmax(q: Queries, blocks: Sequence[Block], bias: Tensor | None) -> Queries:
    """One softmax over the scores of all blocks."""
    scores = [_against(q, block.keys.transpose(-1, -2)) for block in blocks]
    scores = [one * q.shape[-1] ** -0.5 for one in scores]
    if bias is not None:
        scores[-1] = scores[-1] + bias
    weights = torch.cat(scores, dim=-1).softmax(dim=-1)
    parts = weights.split([block.keys.shape[2] for block in blocks], dim=-1)
    mixed = sum(_against(w, block.values) for w, block in zip(parts, blocks, strict=True))
    assert isinstance(mixed, Tensor)
    return mixed


def flash(q: Queries, blocks: Sequence[Block], bias: Tensor | None) -> Queries:
    """Every block by itself in one fused kernel, then mixed by the mass of its scores."""
    mixed, mass = _flash_block(q, blocks[0], bias if len(blocks) == 1 else None)
    for block in blocks[1:]:
        other, more = _flash_block(q, block, bias if block is blocks[-1] else None)
        mixed = torch.lerp(mixed, other, (more - mass).sigmoid()[..., None])
        mass = torch.logaddexp(mass, more) if block is not blocks[-1] else mass
    return mixed


def _flash_block(q: Queries, block: Block, bias: Tensor | None) -> tuple[Queries, Tensor]:
    """Attention to one block, and the log of the sum of its exponentiated scores.

    The kernel is the one behind `scaled_dot_product_attention`, which keeps that sum to itself.
    """
    batch, heads, count, dim = q.shape
    shared = block.keys.shape[0] < batch
    if shared:  # the batch becomes more queries, so the block is read once
        q = q.transpose(0, 1).reshape(1, heads, batch * count, dim)
        bias = None if bias is None else bias.repeat(batch, 1)
    mixed, mass = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, block.keys, block.values, attn_mask=bias
    )
    if not shared:
        return mixed, mass
    return (
        mixed.reshape(heads, batch, count, dim).transpose(0, 1),
        mass.reshape(heads, batch, count).transpose(0, 1),
    )


def _against(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, where a `right` of batch one is shared by all of `left`."""
    if right.shape[0] == left.shape[0]:
        return left @ right
    batch, heads, seq, dim = left.shape
    folded = left.transpose(0, 1).reshape(1, heads, batch * seq, dim) @ right
    return folded.view(heads, batch, seq, -1).transpose(0, 1)
