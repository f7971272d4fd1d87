"""The sample system from nothing: every number that was chosen, in one place."""

from dataclasses import replace

from racm3.data.sample_world.reading import (
    ALONE,
    ANYWHERE,
    BETWEEN,
    BOTH,
    EACH,
    GROUND_SAID,
    GROUNDS,
    JOINS,
    LAYOUTS,
    MIDDLES,
    NOUNS,
    QUARTERS,
    SEVERAL,
    SMALLER,
    SPLITS,
    TIMES,
    UNASKED,
    WHOLE,
)
from racm3.data.sample_world.things import SHOWN
from racm3.data.stream import StreamConfig
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.model.config import GeneratorConfig
from racm3.recipes.recipe import Course, SampleRecipe
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Sides
from racm3.system.rephrasing import Rephrasing
from racm3.system.results import Settings
from racm3.system.surroundings import Surroundings
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip import ClipTraining
from racm3.training.generator import GeneratorTraining
from racm3.training.vqgan import TokenizerTraining


def schedule(steps: int, *, lr: float) -> GeneratorTraining:
    return GeneratorTraining(
        steps=steps, lr=lr, warmup=60, optimizer="muon", precision="auto", compile=True
    )


def _answers() -> Settings:
    """How the sample system answers.

    What was read counting for more makes things right and takes their dyes, which guidance toward
    the words gives back; of more than two documents the first ones count most, or four draw worse
    than two (docs/log.md). On 80 scenes of things that no training met nothing else
    does better, one setting at a time, and no guidance does worse (docs/results/tuning.md).
    """
    return Settings(
        # A second document for one thing is of something else and drawn now and then: see the log.
        documents="each",
        candidates=4,
        sampling=Sampling(temperature=0.3),
        guidance=Guidance(weight=1.5, context_weight=1.5, caption_weight=1.0, pass_temperature=0.1),
        # Whoever shows what the memory does not know is not told what is next to it: see the log.
        least=0.8,
        # As many as the retriever looks at: with half of them fewer halves are right (the log).
        rerank=64,
    )


# What is read instead of what people type.
READ = Rephrasing(
    anywhere=ANYWHERE,
    between=BETWEEN,
    several=SEVERAL,
    times=TIMES,
    alone=ALONE,
    both=BOTH,
    each=EACH,
    whole=WHOLE,
    surroundings=Surroundings(
        grounds=GROUNDS,
        places=MIDDLES,
        layouts=LAYOUTS,
        nouns=NOUNS,
        # Of quarters of large things one in fifty is as near to a document: see docs/log.md.
        sure=0.84,
        small=SMALLER,
        unless=GROUND_SAID,
    ),
    spelt=True,
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
                training=schedule(1700, lr=2.5e-3),
            ),
            # Whoever captions looks up by the picture: what it finds beside the right document is
            # no second thing to be named. Whoever classifies shows an example of each label.
            Course(
                seen=6_000,
                fictional=12_000,
                pictured=7_000,
                demonstrated=7_000,
                things=(8_000, 2_000),
                training=schedule(1300, lr=1.5e-3),
            ),
            # Longer, and with new things: what is copied has to be exact.
            Course(
                seen=6_000,
                fictional=20_000,
                pictured=14_000,
                things=(12_000, 4_000),
                training=schedule(1800, lr=1.5e-3),
            ),
        ),
        generator=GeneratorConfig(width=192, depth=6, heads=6, context=1024, tied=True, period=128),
        stream=StreamConfig(rows=4, length=832, align=128),
        # The small CLIP's cosines run high: see docs/log.md.
        # A caption of two things asks for each, and so does a picture of up to four. Words find
        # names that the CLIP never met, and the memory's keywords what no training said.
        retriever=RetrieverConfig(
            strategy="hybrid",
            too_similar=0.99,
            query="text",
            query_dropout=0.0,
            clauses=SPLITS,
            joins=JOINS,
            halves=True,
            layouts=QUARTERS,
            unasked=UNASKED,
            phrases=True,
            columns=("keywords",),
            aliases=("aliases",),
        ),
        settings=_answers(),
        rephrasing=READ,
    )


def sharpened(steps: int) -> TokenizerTraining:
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
        decoder=replace(sharpened(3_000), decoder_only=True),
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
            width=320, depth=8, heads=10, context=1024, tied=True, period=128
        ),
        stream=StreamConfig(rows=64, length=384, align=128),
        save_every=500,
    )
