"""The sample system's recipes for tests: seconds on any machine, never for pictures."""

from dataclasses import replace

from racm3.data.sample_world.scenes import Chances
from racm3.data.sample_world.things import SHOWN
from racm3.data.stream import StreamConfig
from racm3.model.config import GeneratorConfig
from racm3.recipes.recipe import Course, SampleRecipe
from racm3.retrieval.embedding import Sides
from racm3.tokens.masking import Masking
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip import ClipTraining
from racm3.training.clip_decoded import DecodedTraining
from racm3.training.clip_words import WordTraining
from racm3.training.generator import GeneratorTraining
from racm3.training.vqgan import TokenizerTraining


def tiny() -> SampleRecipe:
    """Seconds on any machine: for tests, never for pictures."""
    return SampleRecipe(
        vqgan=VQGANConfig(widths=(16, 32), encoder_blocks=1, decoder_blocks=1, codes=64),
        tokenizer=TokenizerTraining(steps=6, warmup=2),
        tokenizer_batch=4,
        clip=ClipTraining(steps=6, width=48, layers=1, dim=16, vocabulary=300, patch=16, warmup=2),
        clip_batch=8,
        sides=Sides(text=0.25, sizes=SHOWN),
        text_vocabulary=300,
        courses=(
            Course(
                seen=32,
                fictional=32,
                things=(16, 0),
                training=GeneratorTraining(steps=6, lr=1e-3, warmup=2),
            ),
            Course(
                seen=8,
                fictional=8,
                pictured=8,
                demonstrated=8,
                things=(16, 16),
                training=GeneratorTraining(steps=3, lr=1e-3, warmup=1),
            ),
        ),
        generator=GeneratorConfig(width=32, depth=2, heads=2, context=512, tied=True),
        stream=StreamConfig(rows=2, length=512),
        save_every=3,
    )


def tiny_further() -> SampleRecipe:
    """The same after `tiny`."""
    base = tiny()
    going_on = replace(base.tokenizer, goes_on=True, decibels=1.0)
    return replace(
        base,
        vqgan=replace(base.vqgan, codes=96),
        tokenizer=going_on,
        decoder=replace(going_on, decoder_only=True),
        courses=(replace(base.courses[1], dyed=8, coloured=0.5, chances=Chances(rare=0.5)),),
        further=True,
    )


def tiny_decoder() -> SampleRecipe:
    """The same, its decoder alone, after any of these; it tells look-alikes apart."""
    base = tiny_further()
    apart = replace(base.tokenizer, contrast=1.0, decoder_only=True)
    vqgan = replace(base.vqgan, detail=4)
    return replace(base, vqgan=vqgan, decoder=apart, keep_codes=True, courses=())


def tiny_course() -> SampleRecipe:
    """The same after `tiny_further`."""
    base = tiny_further()
    told = replace(base.courses[0], own=0.5, labelled=8, captioned=8, asked=2.0)
    course = replace(told, hinted=8, empty=4, paired=4, likened=4, phrased=8, gathered=4, listed=4)
    course = replace(course, repeated=0.5, silent=4)
    stream = replace(base.stream, hidden=0.5, shuffled=0.5, masking=Masking(described=0.25))
    kept = replace(base, stream=stream, courses=(course,), decoder=None, keep_codes=True)
    return replace(kept, spaced=True)


def tiny_words() -> SampleRecipe:
    """Another text tower of its CLIP, after any of these."""
    base = tiny_further()
    words = WordTraining(steps=6, width=48, layers=1, room=8, warmup=2)
    sides = replace(base.sides, columns=("keywords",))
    return replace(base, words=words, sides=sides, keep_codes=True, courses=(), decoder=None)


def tiny_seeing() -> SampleRecipe:
    """A picture tower of its CLIP that knows what its tokenizer draws, after any of these."""
    learnt = DecodedTraining(steps=6, warmup=2, scenes=2)
    return replace(tiny_further(), seeing=learnt, keep_codes=True, courses=(), decoder=None)
