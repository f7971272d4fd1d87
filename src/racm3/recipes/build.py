"""The sample system, from nothing to its parts, stage by stage."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from racm3.data.prepare import prepare
from racm3.data.prepared import Prepared
from racm3.data.sample_world import corpus
from racm3.data.sample_world.things import held_out_things
from racm3.errors import ConfigError
from racm3.recipes import away, beside, lessons
from racm3.recipes.assembling import assemble_sample
from racm3.recipes.collection import Beginning
from racm3.recipes.job import Job
from racm3.recipes.lessons import Fiction
from racm3.recipes.recipe import SampleRecipe, loop
from racm3.recipes.sample_clip import train_clip
from racm3.recipes.spelling import Spelling
from racm3.retrieval.embedding import embed_memory
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import device
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.masking import Words
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.growing import detailed
from racm3.tokens.vqgan.model import VQGAN
from racm3.training.loop import train
from racm3.training.vqgan import PictureBatch, Pictures, TokenizerLearner, TokenizerTraining

# Lessons of one course are made from seeds below this; the next course's come after it.
SEEDS = 10
# What looks like a picture's thing, where the image tokenizer learns to tell things apart.
RIVALS = 4


def train_tokenizer(
    begin: Callable[[], VQGAN],
    training: TokenizerTraining,
    pictures: Pictures,
    save_every: int,
    folder: Path,
    where: torch.device,
) -> ImageTokenizer:
    """An image tokenizer of the sample world, or the finished one that is already there."""
    if not (folder / "final").exists():
        unseen = corpus.unseen_pictures(128)
        learner = TokenizerLearner(begin(), training, pictures, unseen, where)
        train(learner, loop(training.steps, save_every), folder)
    return ImageTokenizer.open(folder / "final", device=where)


def train_text(recipe: SampleRecipe, folder: Path) -> TextTokenizer:
    if not (folder / "tokenizer.json").exists():
        TextTokenizer.train(corpus.captions("seen"), size=recipe.text_vocabulary).save(folder)
    return TextTokenizer.open(folder)


def prepare_training(
    recipe: SampleRecipe, number: int, codec: Codec, encoder: ClipEncoder
) -> Prepared:
    """The material of a course: scenes of seen and of fictional things, each beside its memory."""
    course = recipe.courses[number - recipe.begun]
    known, dim, chances = corpus.memory("seen"), encoder.dim, course.chances
    memory, first = ListShelf(known, embed_memory(encoder, known)), SEEDS * number
    spelling = Spelling(codec.text, course.spelt)
    worded, shown = (Fiction(n, course.fiction, course.own, spelling) for n in course.things)
    taught = [
        lessons.seen(course.seen, memory, seed=first, chances=chances),
        lessons.fictional(course.fictional, worded, dim, seed=first + 2, chances=chances),
    ]
    pictured = partial(beside.pictured, fiction=shown, encoder=encoder, chances=chances)
    if course.pictured:
        taught.append(pictured(course.pictured, seed=first + 3))
    if course.captioned:
        taught.append(pictured(course.captioned, seed=first + 9, words=Words.ASKED))
    if course.silent:
        taught.append(pictured(course.silent, seed=first + 5, silent=True))
    if course.demonstrated:
        taught.append(beside.demonstrated(course.demonstrated, worded, dim, seed=first + 4))
    if course.labelled:
        some = partial(beside.labelled, same=course.same, entries=course.entries)
        taught.append(some(course.labelled, worded, dim, seed=first + 8))
    several = partial(lessons.gathered, repeated=course.repeated)
    for count, make, offset in (
        (course.dyed, partial(lessons.dyed, pairs=course.coloured), 7),
        (course.hinted, lessons.hinted, 1),
        (course.empty, lessons.empty, 5),
        (course.paired, beside.paired, 6),
        (course.likened, beside.likened, 4),
        (course.phrased, lessons.phrased, 10),
        (course.gathered, several, 9),
        (course.listed, partial(several, words=Words.ASKED), 8),
    ):
        if count:
            taught.append(make(count, worded, dim, seed=first + offset, chances=chances))
    return lessons.prepare_lessons(codec, encoder, taught, recipe.retriever, draws=1)


def prepare_validation(recipe: SampleRecipe, codec: Codec, encoder: ClipEncoder) -> Prepared:
    """Scenes of held-out things beside the memory of all."""
    count = min([256, *(course.seen for course in recipe.courses)])
    documents = [document for _, document in corpus.scenes(held_out_things(), count, seed=1)]
    config = replace(recipe.retriever, query_dropout=0.0)
    known = corpus.memory("all")
    retriever = Retriever(encoder, ListShelf(known, embed_memory(encoder, known)), config)
    return prepare(codec, documents, retriever, depth=2, draws=1)


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

    def pictures(self, step: int) -> Float[Tensor, "batch 3 side side"]:
        """What the image tokenizer learns from."""
        return corpus.tokenizer_pictures(step, batch=self.recipe.tokenizer_batch)

    def vqgan(self) -> VQGAN:
        """What the image tokenizer starts from."""
        torch.manual_seed(self.recipe.tokenizer.seed)
        return VQGAN(self.recipe.vqgan)

    def tokenizer(self) -> ImageTokenizer:
        return self._tokenizer(self.vqgan, self.recipe.tokenizer, "tokenizer")

    def _tokenizer(
        self, begin: Callable[[], VQGAN], training: TokenizerTraining, name: str
    ) -> ImageTokenizer:
        def shown(step: int) -> PictureBatch:
            if training.contrast:
                batch = self.recipe.tokenizer_batch
                return PictureBatch(
                    *corpus.pictures_beside_look_alikes(step, batch=batch, rivals=RIVALS)
                )
            return PictureBatch(self.pictures(step))

        save_every, folder = self.recipe.save_every, self.folder / name
        return train_tokenizer(begin, training, shown, save_every, folder, self.where)

    def decoder(self) -> ImageTokenizer:
        """The image tokenizer with its decoder polished; its codes are the tokenizer's."""
        learnt = self.tokenizer()
        if self.recipe.decoder is None:
            return learnt

        def begin() -> VQGAN:
            vqgan, detail = learnable(learnt), self.recipe.vqgan.detail
            return detailed(vqgan, detail) if detail else vqgan  # what has some keeps them

        return self._tokenizer(begin, self.recipe.decoder, "decoder")

    def clip(self) -> ClipEncoder:
        return train_clip(self.recipe, self.folder / "clip", self.where)

    def codec(self) -> Codec:
        return Codec(self.text(), self.tokenizer())

    def text(self) -> TextTokenizer:
        return train_text(self.recipe, self.folder / "text")

    def prepared(self) -> None:
        """The material of every course, and what to validate on."""
        made = {
            f"prepared-{number}": partial(prepare_training, self.recipe, number)
            for number in self.recipe.numbers
        }
        made["validation"] = partial(prepare_validation, self.recipe)
        for name, make in made.items():
            if not (self.folder / name).exists():
                make(self.codec(), self.clip()).save(self.folder / name)

    def racm3(self) -> None:
        self._generator(self.recipe, "racm3")

    def cm3(self) -> None:
        self._generator(without_retrieval(self.recipe), "cm3")

    def _generator(self, recipe: SampleRecipe, name: str) -> None:
        """One course after the other; each begins with the weights that the last one ended with."""
        self.prepared()
        for number in recipe.numbers:
            here = self.folder / name / str(number)
            if not (here / "final").exists():
                self.job(recipe, name, number).train(here, on=self.where)

    def job(self, recipe: SampleRecipe, name: str, number: int) -> Job:
        """A course of a generator, whose material is there."""
        course = recipe.courses[number - recipe.begun]
        before = self.folder / name / str(number - 1) / "final"
        return Job(
            material=self.folder / f"prepared-{number}",
            validation=self.folder / "validation",
            beginning=self.beginning(name, self.codec())
            if number == recipe.begun
            else Beginning(weights=before),
            training=course.training,
            stream=replace(recipe.stream, asked=course.asked),
            loop=loop(course.training.steps, recipe.save_every),
        )

    def pack(self) -> None:
        """The next course of both generators, in the folder `pack` for another machine; what
        `python -m racm3.recipes.away` makes of it there belongs into the run's own folder.

        Raises:
            ConfigError: Both have every course behind them.
        """
        self.prepared()
        recipes = {"racm3": self.recipe, "cm3": without_retrieval(self.recipe)}
        waiting = {}
        for name, recipe in recipes.items():
            done = [(self.folder / name / str(n) / "final").exists() for n in recipe.numbers]
            if not all(done):
                number = recipe.numbers[done.index(False)]
                waiting[f"{name}/{number}"] = self.job(recipe, name, number)
        if not waiting:
            raise ConfigError(f"nothing is left to train: {self.folder} has every course")
        away.pack(waiting, self.folder / "pack")

    def beginning(self, name: str, codec: Codec) -> Beginning:
        """What the first course of a generator starts from."""
        return Beginning(size=self.recipe.generator, codes=codec.image.vqgan.codebook.vectors)

    def system(self) -> None:
        """Everything that is still missing, in order, then the system folder."""
        self.racm3()
        self.cm3()
        self.decoder()
        if not (self.folder / "system").exists():
            assemble_sample(self.recipe, self.folder, self.folder / "system")


STAGES = ("tokenizer", "clip", "prepared", "pack", "racm3", "cm3", "decoder", "system")


def learnable(tokenizer: ImageTokenizer) -> VQGAN:
    """The VQGAN of a tokenizer that can go on learning here.

    Raises:
        ConfigError: It is an imported one.
    """
    if not isinstance(tokenizer.vqgan, VQGAN):
        raise ConfigError("only a VQGAN of racm3's own goes on learning, not an imported one")
    return tokenizer.vqgan
