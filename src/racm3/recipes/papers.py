"""The papers' own numbers, and ours for photographs."""

from dataclasses import dataclass

from racm3.data.stream import StreamConfig
from racm3.errors import ConfigError
from racm3.model.config import GeneratorConfig, size
from racm3.training.generator import GeneratorTraining

PAPER_RATES = {"125m": 1e-4, "350m": 6e-4, "760m": 5e-4, "1b3": 1e-4, "2b7": 1e-4, "7b": 1.2e-4}


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe:
    """A generator's size, training and samples; CM3 is the same recipe with no neighbours."""

    generator: GeneratorConfig
    training: GeneratorTraining
    stream: StreamConfig


def racm3(name: str, *, vocabulary: int = 56_320 + 8_192, steps: int = 100_000) -> GeneratorRecipe:
    """The papers' sizes with their numbers: `racm3("125m")` ... `racm3("2b7")`, `racm3("7b")`.

    Sequence 4096; Adam (0.9, 0.98), 1500 warm-up, linear decay (RA-CM3 §4.1); the peak rates of
    350m, 760m and 7b are CM3Leon's (Table 2), with its alpha of 1 left to `--training.alpha`.
    """
    if name not in PAPER_RATES:
        raise ConfigError(f"there is no recipe {name!r}; choose one of {', '.join(PAPER_RATES)}")
    return GeneratorRecipe(
        generator=size(name, vocabulary=vocabulary),
        training=GeneratorTraining(steps=steps, lr=PAPER_RATES[name], precision="bf16"),
        stream=StreamConfig(rows=4, length=4096),
    )


def photos_gpu() -> GeneratorRecipe:
    """Photographs of 128 pixels (256 codes) with captions, on one H200-class card."""
    return GeneratorRecipe(
        generator=GeneratorConfig(width=512, depth=12, heads=8, context=1024),
        training=GeneratorTraining(steps=20_000, lr=6e-4, warmup=500, precision="bf16"),
        stream=StreamConfig(rows=64, length=1024),
    )
