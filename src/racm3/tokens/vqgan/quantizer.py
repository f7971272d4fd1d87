"""The codebook: unit vectors, learnt as moving averages of what they stand for."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn


class Quantized(NamedTuple):
    vectors: Float[Tensor, "batch dim rows columns"]
    codes: Int[Tensor, "batch rows columns"]
    commitment_loss: Float[Tensor, ""]


class Codebook(nn.Module):
    """Nearest code by cosine (ViT-VQGAN, Yu et al. 2022 §3.2), straight-through gradient."""

    vectors: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", F.normalize(torch.randn(codes, dim), dim=-1))

    def forward(self, features: Float[Tensor, "batch dim rows columns"]) -> Quantized:
        unit = F.normalize(features.float(), dim=1)
        flat = rearrange(unit, "batch dim rows columns -> (batch rows columns) dim")
        nearest = (flat.detach() @ self.vectors.T).argmax(dim=-1)
        codes = rearrange(
            nearest, "(batch rows columns) -> batch rows columns", **_grid_of(features)
        )
        chosen = self.look_up(codes)
        commitment = (unit - chosen).square().sum(dim=1).mean()
        return Quantized(unit + (chosen - unit).detach(), codes, commitment)

    def look_up(
        self, codes: Int[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch dim rows columns"]:
        return rearrange(self.vectors[codes], "batch rows columns dim -> batch dim rows columns")


def _grid_of(features: Tensor) -> dict[str, int]:
    return {"batch": features.shape[0], "rows": features.shape[2], "columns": features.shape[3]}


class MovingAverages(nn.Module):
    """Learns a codebook: each code drifts to the mean of its members; unused codes are reborn.

    A code of a `trained` codebook begins as one that has been used lately, a new one's has no
    members yet: the first update already gives every idle code a real feature.
    """

    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        codebook: Codebook,
        *,
        decay: float = 0.98,
        dead_below: float = 0.05,
        trained: bool = False,
    ):
        super().__init__()
        self.decay, self.dead_below = decay, dead_below
        known = float(trained)
        self.register_buffer("counts", torch.full((len(codebook.vectors),), known))
        self.register_buffer("sums", known * codebook.vectors)

    @torch.no_grad()
    def update(
        self,
        codebook: Codebook,
        features: Float[Tensor, "batch dim rows columns"],
        codes: Int[Tensor, "batch rows columns"],
        generator: torch.Generator,
    ) -> None:
        unit = F.normalize(features.detach().float(), dim=1)
        flat = rearrange(unit, "batch dim rows columns -> (batch rows columns) dim")
        members = codes.flatten()
        counts = torch.zeros_like(self.counts).index_add_(
            0, members, torch.ones(len(members), device=flat.device)
        )
        sums = torch.zeros_like(self.sums).index_add_(0, members, flat)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        dead = (self.counts < self.dead_below).nonzero().flatten()
        if len(dead):
            picks = torch.randint(
                len(flat), (len(dead),), generator=generator, device=generator.device
            )
            newborn = 5 * self.dead_below
            self.sums[dead] = newborn * flat[picks.to(flat.device)]
            self.counts[dead] = newborn
        codebook.vectors.copy_(F.normalize(self.sums, dim=-1))
