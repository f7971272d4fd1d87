"""The generator's dimensions, and the sizes of the papers."""

from dataclasses import dataclass, replace

from racm3.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """A decoder of Qwen3's dense block (RMSNorm, rotary, SwiGLU, normalised queries and keys).

    Args:
        width: Residual width.
        depth: Number of blocks.
        heads: Query heads.
        kv_heads: Key and value heads; 0 means as many as `heads`.
        head_width: Width of one head; 0 means `width / heads`.
        mlp_width: Hidden width of SwiGLU; 0 means 8/3 of `width`, rounded up to 64.
        vocabulary: Number of ids; one that starts fresh takes its tokenizers', whatever it says.
        context: Longest sequence.
        rope_theta: Base of the rotary frequencies.
        norm_eps: Epsilon of every RMSNorm.
        tied: Share the embedding with the output.
        period: Period of a learnt position that is added to what goes in; 0 for none, as in Qwen3.
            With pictures aligned to it (`tokens/placing.py`), every cell knows its row and column.
    """

    width: int
    depth: int
    heads: int
    vocabulary: int = 1
    kv_heads: int = 0
    head_width: int = 0
    mlp_width: int = 0
    context: int = 4096
    rope_theta: float = 10000.0
    norm_eps: float = 1e-6
    tied: bool = False
    period: int = 0

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads, self.vocabulary, self.context) < 1:
            raise ConfigError("width, depth, heads, vocabulary and context must be at least 1")
        if not self.head_width and self.width % self.heads:
            raise ConfigError(f"width {self.width} does not divide into {self.heads} equal heads")
        if self.heads % (self.kv_heads or self.heads):
            raise ConfigError(f"{self.heads} heads cannot share {self.kv_heads} key heads equally")
        if self.per_head % 2:
            raise ConfigError(f"a head of width {self.per_head} is odd; rotary needs pairs")

    @property
    def per_head(self) -> int:
        return self.head_width or self.width // self.heads

    @property
    def key_heads(self) -> int:
        return self.kv_heads or self.heads

    @property
    def hidden(self) -> int:
        return self.mlp_width or -(-self.width * 8 // 3 // 64) * 64

    def sized(self, vocabulary: int) -> "GeneratorConfig":
        return replace(self, vocabulary=vocabulary)


# RA-CM3 Fig. 9 and CM3Leon Table 2: layers x width x heads.
SIZES = {
    "125m": (12, 768, 12),
    "350m": (24, 1024, 16),
    "760m": (24, 1536, 16),
    "1b3": (24, 2048, 32),
    "2b7": (32, 2560, 32),
    "7b": (32, 4096, 32),
}


def size(name: str, *, vocabulary: int, context: int = 4096) -> GeneratorConfig:
    """One of the papers' sizes."""
    if name not in SIZES:
        raise ConfigError(f"there is no size {name!r}; choose one of {', '.join(SIZES)}")
    depth, width, heads = SIZES[name]
    return GeneratorConfig(
        width=width, depth=depth, heads=heads, vocabulary=vocabulary, context=context
    )
