"""Pictures to a grid of features and back: the VQGAN's encoder, codebook and decoder."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.quantizer import Codebook


class CellNorm(nn.Module):
    """RMS normalisation over the channels of each cell alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(
        self, x: Float[Tensor, "batch width rows columns"]
    ) -> Float[Tensor, "batch width rows columns"]:
        scale = x.float().square().mean(dim=1, keepdim=True).add(1e-6).rsqrt()
        return (x * scale * self.weight[:, None, None]).to(x.dtype)


class ResidualBlock(nn.Module):
    """Two convolutions; `local` ones look at no other cell, neither to mix nor to normalise."""

    def __init__(self, width: int, *, local: bool = False) -> None:
        super().__init__()
        groups = max(g for g in (1, 2, 4, 8) if width % g == 0)
        kernel = 1 if local else 3
        norms = [CellNorm(width) if local else nn.GroupNorm(groups, width) for _ in range(2)]
        convs = [nn.Conv2d(width, width, kernel, padding=kernel // 2) for _ in range(2)]
        self.norm1, self.norm2 = norms
        self.conv1, self.conv2 = convs

    def forward(
        self, x: Float[Tensor, "batch width rows columns"]
    ) -> Float[Tensor, "batch width rows columns"]:
        hidden = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(hidden)))


class VQGAN(nn.Module):
    """Pixels lie in [-1, 1], channels first; `encode` and `decode` meet at integer codes."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths[0], config.widths[-1]
        down: list[nn.Module] = [nn.Conv2d(3, first, config.patch, stride=config.patch)]
        for width, wider in zip(config.widths, (*config.widths[1:], None), strict=True):
            down += [ResidualBlock(width, local=config.local) for _ in range(config.encoder_blocks)]
            if wider:
                kernel, margin = (2, 0) if config.local else (4, 1)
                down.append(nn.Conv2d(width, wider, kernel, stride=2, padding=margin))
        self.encoder = nn.Sequential(*down, nn.Conv2d(last, config.code_width, 1))
        self.codebook = Codebook(config.codes, config.code_width)
        self.details = nn.Embedding(config.codes, config.detail) if config.detail else None
        up: list[nn.Module] = [nn.Conv2d(config.code_width + config.detail, last, 3, padding=1)]
        backwards = config.widths[::-1]
        for width, narrower in zip(backwards, (*backwards[1:], None), strict=True):
            up += [ResidualBlock(width) for _ in range(config.decoder_blocks)]
            if narrower:
                up += [nn.Conv2d(width, 4 * narrower, 3, padding=1), nn.PixelShuffle(2)]
        up += [nn.SiLU(), nn.Conv2d(first, 3 * config.patch**2, 3, padding=1)]
        self.decoder = nn.Sequential(*up, nn.PixelShuffle(config.patch))

    def features(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch dim rows columns"]:
        return self.encoder(pixels)

    def encode(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Int[Tensor, "batch rows columns"]:
        return self.codebook(self.features(pixels)).codes

    def decode(
        self, codes: Int[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch 3 height width"]:
        return torch.clamp(self.painted(self.codebook.look_up(codes), codes).float(), -1, 1)

    def painted(
        self,
        vectors: Float[Tensor, "batch dim rows columns"],
        codes: Int[Tensor, "batch rows columns"],
    ) -> Float[Tensor, "batch 3 height width"]:
        """What the decoder makes of codes, given by their vectors and their numbers."""
        if self.details is not None:
            details = rearrange(
                self.details(codes), "batch rows columns dim -> batch dim rows columns"
            )
            vectors = torch.cat([vectors, details.to(vectors.dtype)], dim=1)
        return self.decoder(vectors)
