"""The sample system, from nothing to its parts: every number that was chosen, in one place."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from racm3.data.prepare import Prepared, prepare
from racm3.data.sample_world import corpus
from racm3.data.sample_world.scenes import RELATIONS
from racm3.data.sample_world.things import held_out_things
from racm3.data.stream import StreamConfig
from racm3.generation.sampling import Sampling
from racm3.model.config import GeneratorConfig
from racm3.model.export import open_generator
from racm3.recipes import collection, lessons
from racm3.recipes.collection import Beginning
from racm3.retrieval.encoder import ClipEncoder, embed
from racm3.retrieval.retriever import Retriever, RetrieverConfig
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import device, write_whole
from racm3.system.parts import GENERATORS, EmptyShelf, Parts, save_parts, write_sample_vectors
from racm3.system.results import Settings
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.model import VQGAN
from racm3.training.clip import ClipLearner, ClipTraining, new_clip
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig, train
from racm3.training.vqgan import TokenizerLearner, TokenizerTraining


@dataclass(frozen=True, kw_only=True)
class SampleRecipe:
    """Everything that makes the sample system; the stages run in the order of the fields.

    Args:
        documents: Scenes of seen things.
        fiction: Scenes of fictional things.
        fictional_things: How many of these there are.
        draws: Draws of neighbours of each scene.
    """

    vqgan: VQGANConfig
    tokenizer: TokenizerTraining
    tokenizer_batch: int
    clip: ClipTraining
    clip_batch: int
    text_vocabulary: int
    documents: int
    fiction: int
    fictional_things: int
    draws: int
    generator: GeneratorConfig
    training: GeneratorTraining
    stream: StreamConfig
    save_every: int = 200
    settings: Settings = field(default_factory=Settings)
    retriever: RetrieverConfig = field(default_factory=RetrieverConfig)


CLAUSES = "|".join(f" {relation} " for relation in RELATIONS)


def sample_cpu() -> SampleRecipe:
    """Two hours on two cores: what ships with the package."""
    return SampleRecipe(
        vqgan=VQGANConfig(codes=2048, local=True),
        tokenizer=TokenizerTraining(steps=4500, precision="auto"),
        tokenizer_batch=32,
        clip=ClipTraining(steps=2000, precision="auto", width=192, patch=16),
        clip_batch=256,
        text_vocabulary=2048,
        documents=16_000,
        fiction=24_000,
        fictional_things=8_000,
        draws=1,
        generator=GeneratorConfig(
            width=192, depth=6, heads=6, vocabulary=1, context=1024, tied=True, period=128
        ),
        training=GeneratorTraining(
            steps=1700, lr=2.5e-3, warmup=60, optimizer="muon", precision="auto", compile=True
        ),
        stream=StreamConfig(rows=10, length=384, align=128),
        # The small CLIP's cosines run high and its picture queries are weak: see docs/log.md.
        # A caption of two things asks for each. Words find names that the CLIP never met.
        retriever=RetrieverConfig(
            strategy="hybrid",
            too_similar=0.99,
            query="text",
            query_dropout=0.0,
            clauses=CLAUSES,
        ),
        # 80%, 85% and 90% right at temperatures 1, 0.7 and 0.3; nothing else could be told from its
        # default on 40 scenes of seen things (docs/results/tuning.md).
        settings=Settings(candidates=4, sampling=Sampling(temperature=0.3)),
    )


def sample_gpu() -> SampleRecipe:
    """Half an hour on one H200-class card: a larger tokenizer and generator, far more data."""
    base = sample_cpu()
    return replace(
        base,
        vqgan=VQGANConfig(widths=(128, 256), decoder_blocks=4, codes=2048, local=True),
        tokenizer=TokenizerTraining(
            steps=20_000, precision="auto", adversarial=0.02, adversarial_from=12_000
        ),
        tokenizer_batch=128,
        clip=ClipTraining(steps=4000, precision="auto", width=192),
        clip_batch=512,
        documents=60_000,
        fiction=120_000,
        fictional_things=40_000,
        draws=1,
        generator=GeneratorConfig(
            width=320, depth=8, heads=10, vocabulary=1, context=1024, tied=True, period=128
        ),
        training=GeneratorTraining(steps=20_000, lr=1e-3, warmup=500, precision="auto"),
        stream=StreamConfig(rows=64, length=384, align=128),
        save_every=500,
    )


def tiny() -> SampleRecipe:
    """Seconds on any machine: for tests, never for pictures."""
    return SampleRecipe(
        vqgan=VQGANConfig(widths=(16, 32), encoder_blocks=1, decoder_blocks=1, codes=64),
        tokenizer=TokenizerTraining(steps=6, warmup=2),
        tokenizer_batch=4,
        clip=ClipTraining(steps=6, width=48, layers=1, dim=16, vocabulary=300, patch=16, warmup=2),
        clip_batch=8,
        text_vocabulary=300,
        documents=32,
        fiction=32,
        fictional_things=16,
        draws=2,
        generator=GeneratorConfig(width=32, depth=2, heads=2, vocabulary=1, context=512, tied=True),
        training=GeneratorTraining(steps=6, lr=1e-3, warmup=2),
        stream=StreamConfig(rows=2, length=512),
        save_every=3,
    )


SAMPLES: dict[str, Callable[[], SampleRecipe]] = {
    "sample_cpu": sample_cpu,
    "sample_gpu": sample_gpu,
    "tiny": tiny,
}


def loop(steps: int, save_every: int) -> LoopConfig:
    return LoopConfig(steps=steps, save_every=save_every, validate_every=max(1, steps // 8))


def train_tokenizer(recipe: SampleRecipe, folder: Path, where: torch.device) -> ImageTokenizer:
    """The image tokenizer of the sample world, or the finished one that is already there."""
    if not (folder / "final").exists():
        torch.manual_seed(recipe.tokenizer.seed)
        pictures = partial(corpus.tokenizer_pictures, batch=recipe.tokenizer_batch)
        learner = TokenizerLearner(
            VQGAN(recipe.vqgan), recipe.tokenizer, pictures, corpus.unseen_pictures(128), where
        )
        train(learner, loop(recipe.tokenizer.steps, recipe.save_every), folder)
    return ImageTokenizer.open(folder / "final", device=where)


def train_clip(recipe: SampleRecipe, folder: Path, where: torch.device) -> ClipEncoder:
    if not (folder / "final").exists():
        encoder = new_clip(recipe.clip, corpus.captions("all"))
        pairs = partial(corpus.clip_pairs, batch=recipe.clip_batch)
        learner = ClipLearner(encoder, recipe.clip, pairs, corpus.named_pictures(), where)
        train(learner, loop(recipe.clip.steps, recipe.save_every), folder)
    return ClipEncoder.open(folder / "final", device=where)


def train_text(recipe: SampleRecipe, folder: Path) -> TextTokenizer:
    if not (folder / "tokenizer.json").exists():
        TextTokenizer.train(corpus.captions("seen"), size=recipe.text_vocabulary).save(folder)
    return TextTokenizer.open(folder)


def prepare_training(recipe: SampleRecipe, codec: Codec, encoder: ClipEncoder) -> Prepared:
    """Scenes of seen and of fictional things, each beside the memory of these."""
    known = corpus.memory("seen")
    taught = (
        lessons.seen(recipe.documents, ListShelf(known, embed(encoder, known))),
        lessons.fictional(recipe.fiction, recipe.fictional_things, encoder.dim),
    )
    return lessons.prepare_lessons(codec, encoder, taught, recipe.retriever, draws=recipe.draws)


def prepare_validation(recipe: SampleRecipe, codec: Codec, encoder: ClipEncoder) -> Prepared:
    """Scenes of held-out things beside the memory of all."""
    count = min(256, recipe.documents)
    documents = [document for _, document in corpus.scenes(held_out_things(), count, seed=1)]
    config = replace(recipe.retriever, query_dropout=0.0)
    known = corpus.memory("all")
    retriever = Retriever(encoder, ListShelf(known, embed(encoder, known)), config)
    return prepare(codec, documents, retriever, depth=2, draws=recipe.draws)


def train_generator(
    recipe: SampleRecipe, codec: Codec, prepared: list[Prepared], folder: Path, where: torch.device
) -> None:
    if (folder / "final").exists():
        return
    steps = recipe.training.steps
    collection.train_generator(
        codec,
        prepared[0],
        Beginning(size=recipe.generator, codes=codec.image.vqgan.codebook.vectors),
        recipe.training,
        recipe.stream,
        loop=loop(steps, recipe.save_every),
        folder=folder,
        validation=prepared[1],
        on=where,
    )


def without_retrieval(recipe: SampleRecipe) -> SampleRecipe:
    """Vanilla CM3: the same run with one value changed."""
    return replace(recipe, stream=replace(recipe.stream, neighbours="none"))


class Build:
    """The stages of a sample system; one that is finished is opened, not trained again.

    Killed at any instant, the same stage goes on where it was. The tokenizer and the CLIP need
    nothing of each other, nor do the two generators: they may run side by side.
    """

    def __init__(self, recipe: SampleRecipe, folder: Path, *, on: str = "auto") -> None:
        self.recipe, self.folder, self.where = recipe, folder, device(on)

    def tokenizer(self) -> ImageTokenizer:
        return train_tokenizer(self.recipe, self.folder / "tokenizer", self.where)

    def clip(self) -> ClipEncoder:
        return train_clip(self.recipe, self.folder / "clip", self.where)

    def codec(self) -> Codec:
        return Codec(train_text(self.recipe, self.folder / "text"), self.tokenizer())

    def prepared(self) -> list[Prepared]:
        for name, make in (("prepared", prepare_training), ("validation", prepare_validation)):
            if not (self.folder / name).exists():
                make(self.recipe, self.codec(), self.clip()).save(self.folder / name)
        return [Prepared.open(self.folder / name) for name in ("prepared", "validation")]

    def racm3(self) -> None:
        self._generator(self.recipe, "racm3")

    def cm3(self) -> None:
        self._generator(without_retrieval(self.recipe), "cm3")

    def _generator(self, recipe: SampleRecipe, name: str) -> None:
        train_generator(recipe, self.codec(), self.prepared(), self.folder / name, self.where)

    def system(self) -> None:
        """Everything that is still missing, in order, then the system folder."""
        self.racm3()
        self.cm3()
        if not (self.folder / "system").exists():
            assemble_sample(self.recipe, self.folder, self.folder / "system")


STAGES = ("tokenizer", "clip", "prepared", "racm3", "cm3", "system")


def assemble_sample(recipe: SampleRecipe, run: Path, out: Path) -> None:
    """The finished stages as one system folder in half precision, the memory's vectors beside."""
    encoder = ClipEncoder.open(run / "clip" / "final")
    codec = Codec(
        TextTokenizer.open(run / "text"), ImageTokenizer.open(run / "tokenizer" / "final")
    )
    models = {name: open_generator(run / name / "final") for name in GENERATORS}
    shelf = EmptyShelf(encoder.dim)
    align = recipe.stream.align
    parts = Parts(codec, encoder, models, recipe.retriever, shelf, out.name, align, recipe.settings)
    save_parts(parts, out, dtype=torch.float16)
    write_sample_vectors(out, encoder)
    logs = {name: run / name / "log.jsonl" for name in ("tokenizer", "clip", *GENERATORS)}
    for name, log in logs.items():
        if log.exists():
            write_whole(out / f"{name}.log.jsonl", log.read_bytes())
