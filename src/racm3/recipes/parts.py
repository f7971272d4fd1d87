"""One part of a finished sample system anew: a decoder, or a tower of its CLIP; the rest stays."""

from dataclasses import replace

from racm3.recipes.courses import course_cpu, further_cpu
from racm3.recipes.recipe import SampleRecipe
from racm3.recipes.sample import sharpened
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip_decoded import DecodedTraining
from racm3.training.clip_words import WordTraining


def decoder_cpu() -> SampleRecipe:
    """A decoder that is told more of every code, for what `further_cpu` or `course_cpu` made."""
    return replace(
        further_cpu(),
        vqgan=VQGANConfig(codes=4096, local=True, detail=64),
        decoder=replace(sharpened(8000), edges=0.0, decoder_only=True),
        keep_codes=True,
        courses=(),
    )


def contrast_cpu() -> SampleRecipe:
    """A decoder that tells look-alikes apart, for what `decoder_cpu` made."""
    polished = replace(sharpened(5000), edges=0.0, contrast=8.0, decoder_only=True)
    return replace(decoder_cpu(), decoder=polished)


def words_cpu() -> SampleRecipe:
    """A text tower for what any of these made that tells words which no training had: half an hour.

    Codes and generators stay as they are (docs/log.md).
    """
    base = course_cpu()
    words = WordTraining(steps=1800, precision="auto")
    sides = replace(base.sides, columns=base.retriever.columns)
    return replace(base, courses=(), words=words, sides=sides)


def seeing_cpu() -> SampleRecipe:
    """A picture tower for what any of these made that knows pictures as the system draws them.

    Codes and generators stay as they are (docs/log.md).
    """
    learnt = DecodedTraining(steps=900, warmup=20, precision="auto")
    return replace(course_cpu(), courses=(), seeing=learnt)
