"""The image tokenizer's dimensions."""

from dataclasses import dataclass

from racm3.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class VQGANConfig:
    """VQGAN (Esser et al. 2021): `patch` pixels a side at once, then one halving a further width.

    The papers' tokenizer is 256 pixels, 8-fold, with 8192 codes; a picture becomes one code for
    every `downsampling` x `downsampling` pixels. A `local` encoder sees every such square by
    itself, so that a code says what is there whatever stands elsewhere: what is copied from one
    picture to another stays recognisable. The decoder sees the whole grid either way, and with
    `detail` so many numbers of every code that the encoder does not know: a decoder can learn to
    tell more of codes that are given.
    """

    side: int = 64
    patch: int = 4
    widths: tuple[int, ...] = (96, 192)
    encoder_blocks: int = 2
    decoder_blocks: int = 3
    codes: int = 1024
    code_width: int = 16
    local: bool = False
    detail: int = 0

    def __post_init__(self) -> None:
        if min(self.side, self.patch, self.codes, self.code_width, *self.widths) < 1:
            raise ConfigError("every size of the image tokenizer must be at least 1")
        if self.side % self.downsampling:
            raise ConfigError(
                f"pictures of {self.side} pixels do not divide into cells of {self.downsampling}; "
                "change `side`, `patch` or the number of `widths`"
            )

    @property
    def downsampling(self) -> int:
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def cells(self) -> int:
        """Rows (and columns) of the code grid."""
        return self.side // self.downsampling
