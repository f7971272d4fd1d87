"""The convolutional VQGAN that most public checkpoints share: taming, LlamaGen, Janus."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from racm3.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class FamilyConfig:
    """What the weights do not fit together without (Esser et al. 2021, Table 7).

    Args:
        side: Picture side in pixels.
        codes: Size of the codebook.
        code_width: Width of a code.
        latent: Channels between encoder and codebook.
        base: Channels of the first convolution.
        multipliers: Channels of every level in units of `base`; each but the last halves the side.
        blocks: Residual blocks of an encoder level (a decoder level has one more).
        unit: Codes and features are compared, and codes decoded, at length one (LlamaGen, Janus).
        gumbel: Codes are chosen by a projection instead of by distance (taming's Gumbel models).
        groups: Groups of the normalisation.
        family: Whose layout the weights had.
    """

    side: int
    codes: int
    code_width: int
    latent: int
    base: int
    multipliers: tuple[int, ...]
    blocks: int = 2
    unit: bool = False
    gumbel: bool = False
    groups: int = 32
    family: str = "taming"

    def __post_init__(self) -> None:
        if self.side % self.downsampling:
            raise ConfigError(
                f"pictures of {self.side} pixels do not divide into cells of {self.downsampling}; "
                "give another side"
            )

    @property
    def downsampling(self) -> int:
        return 2 ** (len(self.multipliers) - 1)

    @property
    def cells(self) -> int:
        return self.side // self.downsampling


class Residual(nn.Module):
    def __init__(self, width: int, out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width, eps=1e-6)
        self.conv1 = nn.Conv2d(width, out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out, eps=1e-6)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(width, out, 1) if width != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(hidden)))


class CellAttention(nn.Module):
    """Every cell looks at every other one, with a single head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed, rows = self.norm(x), x.shape[2]
        query, key, value = (
            rearrange(part(normed), "b c h w -> b (h w) c") for part in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.proj_out(rearrange(mixed, "b (h w) c -> b c h w", h=rows))


class Middle(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = Residual(width, width, groups)
        self.attn_1 = CellAttention(width, groups)
        self.block_2 = Residual(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Halve(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Double(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks at one resolution, with attention at the coarsest, then another size."""

    def __init__(
        self, width: int, out: int, blocks: int, groups: int, *, attends: bool, then: str
    ) -> None:
        super().__init__()
        widths = [width] + [out] * (blocks - 1)
        self.block = nn.ModuleList(Residual(one, out, groups) for one in widths)
        self.attn = nn.ModuleList(CellAttention(out, groups) for _ in widths if attends)
        self.downsample = Halve(out) if then == "halve" else nn.Identity()
        self.upsample = Double(out) if then == "double" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[number](x)
        return self.upsample(self.downsample(x))


class FamilyEncoder(nn.Module):
    def __init__(self, config: FamilyConfig) -> None:
        super().__init__()
        widths = [config.base * m for m in (1, *config.multipliers)]
        last, groups = len(config.multipliers) - 1, config.groups
        self.conv_in = nn.Conv2d(3, config.base, 3, padding=1)
        self.down = nn.ModuleList(
            Level(
                widths[i],
                widths[i + 1],
                config.blocks,
                groups,
                attends=i == last,
                then="halve" if i < last else "",
            )
            for i in range(last + 1)
        )
        self.mid = Middle(widths[-1], groups)
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], config.latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class FamilyDecoder(nn.Module):
    """Levels from the coarsest to the finest."""

    def __init__(self, config: FamilyConfig) -> None:
        super().__init__()
        widths = [config.base * m for m in config.multipliers[::-1]]
        last, groups = len(widths) - 1, config.groups
        self.conv_in = nn.Conv2d(config.latent, widths[0], 3, padding=1)
        self.mid = Middle(widths[0], groups)
        self.up = nn.ModuleList(
            Level(
                widths[max(i - 1, 0)],
                widths[i],
                config.blocks + 1,
                groups,
                attends=i == 0,
                then="double" if i < last else "",
            )
            for i in range(last + 1)
        )
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid(self.conv_in(x))
        for level in self.up:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class FamilyCodebook(nn.Module):
    def __init__(self, config: FamilyConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.codes, config.code_width)
        self.proj = nn.Conv2d(config.latent, config.codes, 1) if config.gumbel else None
        self.unit = config.unit

    @property
    def vectors(self) -> Tensor:
        weight = self.embedding.weight
        return F.normalize(weight, dim=-1) if self.unit else weight

    def look_up(
        self, codes: Int[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch dim rows columns"]:
        return rearrange(self.vectors[codes], "b h w c -> b c h w")

    def forward(self, x: Tensor) -> Tensor:
        """The nearest code of every cell."""
        if self.proj is not None:
            return self.proj(x).argmax(dim=1)
        flat = rearrange(x, "b c h w -> b (h w) c")
        flat = F.normalize(flat, dim=-1) if self.unit else flat
        found = torch.cdist(flat, self.vectors[None]).argmin(dim=-1)
        return rearrange(found, "b (h w) -> b h w", h=x.shape[2])


class FamilyVQGAN(nn.Module):
    """The same promise as our own `VQGAN`; parameter names are Janus's in `transformers`."""

    def __init__(self, config: FamilyConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = FamilyEncoder(config), FamilyDecoder(config)
        self.codebook = FamilyCodebook(config)
        # A Gumbel model projects the encoder's channels itself.
        width = config.latent if config.gumbel else config.code_width
        self.quant_conv = nn.Conv2d(config.latent, width, 1)
        self.post_quant_conv = nn.Conv2d(config.code_width, config.latent, 1)

    def features(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch dim rows columns"]:
        return self.quant_conv(self.encoder(pixels))

    def encode(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Int[Tensor, "batch rows columns"]:
        return self.codebook(self.features(pixels))

    def decode(
        self, codes: Int[Tensor, "batch rows columns"]
    ) -> Float[Tensor, "batch 3 height width"]:
        vectors = self.post_quant_conv(self.codebook.look_up(codes))
        return torch.clamp(self.decoder(vectors).float(), -1, 1)
