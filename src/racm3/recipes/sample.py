"""The sample system's recipes: every number that was chosen, in one place."""

from collections.abc import Callable
from dataclasses import replace

from racm3.data.sample_world.scenes import DYES, RELATIONS, Chances
from racm3.data.sample_world.things import SHOWN
from racm3.data.stream import StreamConfig
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.model.config import GeneratorConfig
from racm3.recipes.recipe import Course, SampleRecipe
from racm3.recipes.tiny import tiny, tiny_course, tiny_decoder, tiny_further
from racm3.retrieval.embedding import Sides
from racm3.retrieval.retriever import RetrieverConfig
from racm3.system.results import Settings
from racm3.tokens.masking import Masking
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip import ClipTraining
from racm3.training.generator import GeneratorTraining
from racm3.training.vqgan import TokenizerTraining

CLAUSES = "|".join(f" {relation} " for relation in RELATIONS)
DYED = f" dyed (?:{'|'.join(DYES)})"


def _schedule(steps: int, *, lr: float) -> GeneratorTraining:
    return GeneratorTraining(
        steps=steps, lr=lr, warmup=60, optimizer="muon", precision="auto", compile=True
    )


def _answers() -> Settings:
    """How the sample system answers.

    80%, 85% and 90% were right at temperatures 1, 0.7 and 0.3 on 40 scenes of seen things; on 60 of
    things that no training met nothing else did better (docs/results/tuning.md), and with what was
    read counting for more 1.25 and 1.5 come to the same (docs/results/tuning-context-weight.md).
    That makes things right and takes their dyes, which guidance toward the words gives back
    (docs/log.md; docs/results/tuning-guidance.md tells its weights not apart).
    """
    return Settings(
        candidates=4,
        sampling=Sampling(temperature=0.3),
        guidance=Guidance(weight=1.5, context_weight=1.5),
        # Whoever shows what the memory does not know is not told what is next to it: see the log.
        least=0.8,
    )


def sample_cpu() -> SampleRecipe:
    """About four hours on two cores: what ships with the package."""
    return SampleRecipe(
        vqgan=VQGANConfig(codes=2048, local=True),
        tokenizer=TokenizerTraining(steps=4500, precision="auto"),
        tokenizer_batch=32,
        clip=ClipTraining(steps=2000, precision="auto", width=192, patch=16),
        clip_batch=192,
        # It has met no name of one's own: what these say to it hides the picture, see docs/log.md.
        sides=Sides(text=0.125, sizes=SHOWN),
        text_vocabulary=2048,
        courses=(
            Course(
                seen=16_000,
                fictional=24_000,
                things=(8_000, 0),
                training=_schedule(1700, lr=2.5e-3),
            ),
            # Whoever captions looks up by the picture: what it finds beside the right document is
            # no second thing to be named. Whoever classifies shows an example of each label.
            Course(
                seen=6_000,
                fictional=12_000,
                pictured=7_000,
                demonstrated=7_000,
                things=(8_000, 2_000),
                training=_schedule(1300, lr=1.5e-3),
            ),
            # Longer, and with new things: what is copied has to be exact.
            Course(
                seen=6_000,
                fictional=20_000,
                pictured=14_000,
                things=(12_000, 4_000),
                training=_schedule(1800, lr=1.5e-3),
            ),
        ),
        generator=GeneratorConfig(
            width=192, depth=6, heads=6, vocabulary=1, context=1024, tied=True, period=128
        ),
        stream=StreamConfig(rows=4, length=832, align=128),
        # The small CLIP's cosines run high: see docs/log.md.
        # A caption of two things asks for each. Words find names that the CLIP never met, and the
        # memory's keywords what no training said. A colour to be drawn in would find hearts.
        retriever=RetrieverConfig(
            strategy="hybrid",
            too_similar=0.99,
            query="text",
            query_dropout=0.0,
            clauses=CLAUSES,
            unasked=DYED,
            phrases=True,
            columns=("keywords",),
        ),
        settings=_answers(),
    )


def _sharpened(steps: int) -> TokenizerTraining:
    """Going on with the log of every picture's own squared error, which PSNR is."""
    return TokenizerTraining(
        steps=steps,
        lr=4e-4,
        warmup=50,
        commitment=0.5,
        absolute=0.0,
        squared=0.0,
        decibels=1.0,
        edges=0.2,
        dead_below=0.01,
        goes_on=True,
        precision="auto",
    )


def further_cpu() -> SampleRecipe:
    """A finer codebook and one more course for what `sample_cpu` made."""
    return replace(
        sample_cpu(),
        vqgan=VQGANConfig(codes=4096, local=True),
        tokenizer=_sharpened(1300),
        decoder=replace(_sharpened(1500), decoder_only=True),
        further=True,
        # Tilted, striped and checked scenes failed most.
        courses=(
            Course(
                seen=6_000,
                fictional=20_000,
                pictured=14_000,
                things=(12_000, 4_000),
                chances=Chances(rare=0.12),
                training=_schedule(1500, lr=1.5e-3),
            ),
        ),
    )


def course_cpu() -> SampleRecipe:
    """One more course for what `further_cpu` made, or this; its codes stay."""
    return replace(further_cpu(), decoder=None, keep_codes=True)


def dyed_cpu() -> SampleRecipe:
    """Three more courses with things that have another colour than what was consulted."""
    base = course_cpu()
    first = replace(
        base.courses[0],
        seen=3_500,
        fictional=10_500,
        pictured=8_000,
        dyed=8_000,
        training=_schedule(1400, lr=1.5e-3),
    )
    # After it one thing as it is was less exact, and names of one's own most of all (docs/log.md).
    second = replace(
        first,
        seen=4_000,
        fictional=14_000,
        pictured=13_000,
        dyed=9_000,
        training=_schedule(1800, lr=1.5e-3),
    )
    # Of four dyed things one was still wrong, and nearly every code has another one for every dye.
    third = replace(
        first,
        seen=2_500,
        fictional=10_500,
        pictured=10_500,
        dyed=16_500,
        training=_schedule(1650, lr=1.5e-3),
    )
    return replace(base, courses=(first, second, third))


def course_gpu() -> SampleRecipe:
    """One more course for any of these, with sixty times the ids of the last: ten minutes of one
    H100-class card for both generators, after ten minutes of two cores to prepare (`--stage pack`).
    """
    course = Course(
        seen=10_000,
        fictional=30_000,
        pictured=25_000,
        demonstrated=20_000,
        dyed=30_000,
        things=(30_000, 12_000),
        chances=Chances(rare=0.12),
        own=0.25,
        training=GeneratorTraining(
            steps=5_000, lr=1.5e-3, warmup=100, optimizer="muon", precision="auto"
        ),
    )
    base = course_cpu()
    stream = replace(base.stream, rows=64, length=512)
    return replace(base, stream=stream, courses=(course,), save_every=1_000)


def misled_cpu() -> SampleRecipe:
    """A course for any of these in which the first document is not always the right one: what is to
    be read has to be told by its name, or by what the picture shows. It does not get there
    (docs/log.md) and did not ship."""
    course = Course(
        seen=5_000,
        fictional=10_000,
        pictured=7_000,
        demonstrated=6_000,
        misled=4_000,
        things=(12_000, 4_000),
        chances=Chances(rare=0.12),
        own=0.5,
        training=_schedule(1500, lr=1.5e-3),
    )
    base = course_cpu()
    # Which document a picture is of shows in its first ids, and what follows is told from these.
    stream = replace(
        base.stream,
        counts=(0, 1, 2, 2),
        shuffled=0.5,
        hidden=0.5,
        masking=Masking(described=0.25),
    )
    return replace(base, stream=stream, courses=(course,))


def decoder_cpu() -> SampleRecipe:
    """A decoder that is told more of every code, for what `further_cpu` or `course_cpu` made."""
    return replace(
        further_cpu(),
        vqgan=VQGANConfig(codes=4096, local=True, detail=64),
        decoder=replace(_sharpened(8000), edges=0.0, decoder_only=True),
        keep_codes=True,
        courses=(),
    )


def contrast_cpu() -> SampleRecipe:
    """A decoder that tells look-alikes apart, for what `decoder_cpu` made."""
    polished = replace(_sharpened(5000), edges=0.0, contrast=8.0, decoder_only=True)
    return replace(decoder_cpu(), decoder=polished)


def sample_gpu() -> SampleRecipe:
    """For one H200-class card, untried on one: a larger tokenizer and generator, far more data."""
    base = sample_cpu()
    return replace(
        base,
        vqgan=VQGANConfig(widths=(128, 256), decoder_blocks=4, codes=4096, local=True),
        tokenizer=TokenizerTraining(
            steps=20_000, precision="auto", adversarial=0.02, adversarial_from=12_000
        ),
        tokenizer_batch=128,
        decoder=replace(_sharpened(3_000), decoder_only=True),
        clip=ClipTraining(steps=4000, precision="auto", width=192),
        clip_batch=512,
        courses=(
            Course(
                seen=50_000,
                fictional=90_000,
                pictured=25_000,
                demonstrated=25_000,
                things=(30_000, 5_000),
                training=GeneratorTraining(steps=20_000, lr=1e-3, warmup=500, precision="auto"),
            ),
        ),
        generator=GeneratorConfig(
            width=320, depth=8, heads=10, vocabulary=1, context=1024, tied=True, period=128
        ),
        stream=StreamConfig(rows=64, length=384, align=128),
        save_every=500,
    )


SAMPLES: dict[str, Callable[[], SampleRecipe]] = {
    "sample_cpu": sample_cpu,
    "further_cpu": further_cpu,
    "course_cpu": course_cpu,
    "dyed_cpu": dyed_cpu,
    "course_gpu": course_gpu,
    "misled_cpu": misled_cpu,
    "decoder_cpu": decoder_cpu,
    "contrast_cpu": contrast_cpu,
    "sample_gpu": sample_gpu,
    "tiny": tiny,
    "tiny_further": tiny_further,
    "tiny_course": tiny_course,
    "tiny_decoder": tiny_decoder,
}
