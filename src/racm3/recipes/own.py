"""A system for a collection of one's own, from its documents alone, stage by stage."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from racm3.data.ahead import Tolerance
from racm3.data.fitted import fitted
from racm3.data.prepared import Prepared
from racm3.data.sources import find_source, read_source, require
from racm3.data.stream import StreamConfig
from racm3.document import Document
from racm3.errors import ConfigError
from racm3.model.config import GeneratorConfig
from racm3.model.export import open_generator
from racm3.recipes import collection
from racm3.recipes.collection import Beginning
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.siglip import Dual, open_dual
from racm3.runtime import device, hold_to, load_json, progress
from racm3.system.parts import GENERATORS, EmptyShelf, Parts, save_parts
from racm3.system.results import Settings
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip import ClipTraining
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig
from racm3.training.vqgan import TokenizerTraining

# Words find what a small CLIP has not understood, and its cosines run high (docs/log.md).
RETRIEVER = RetrieverConfig(strategy="hybrid")
TOO_SIMILAR = 0.98


@dataclass(frozen=True, kw_only=True)
class OwnRecipe:
    """Sizes and schedules; the stages run in the order of the fields.

    Args:
        clip: The small CLIP, where no other one is given.
        draws: Dropout draws for every document's neighbours.
        passes: How often the generators may meet a document: on 400 photographs perplexity on
            unseen ones was lowest after about 5 times (docs/log.md).
    """

    vqgan: VQGANConfig
    tokenizer: TokenizerTraining
    tokenizer_batch: int
    text_vocabulary: int
    clip: ClipTraining
    clip_batch: int
    draws: int = 2
    passes: float = 5
    generator: GeneratorConfig
    stream: StreamConfig
    training: GeneratorTraining
    settings: Settings = field(default_factory=lambda: Settings(candidates=4))
    save_every: int = 200


def own_cpu() -> OwnRecipe:
    """64-pixel pictures of 64 codes, a generator of the sample system's size."""
    return OwnRecipe(
        vqgan=VQGANConfig(codes=1024, local=True),
        tokenizer=TokenizerTraining(steps=1_200, precision="auto"),
        tokenizer_batch=32,
        text_vocabulary=4096,
        clip=ClipTraining(steps=600, precision="auto", patch=16),
        clip_batch=128,
        generator=GeneratorConfig(width=192, depth=6, heads=6, context=1024, tied=True, period=128),
        stream=StreamConfig(rows=3, length=1024, align=128),
        training=GeneratorTraining(
            steps=1_500, lr=2.5e-3, warmup=60, optimizer="muon", precision="auto"
        ),
    )


def own_gpu() -> OwnRecipe:
    """128-pixel pictures of 256 codes, a generator of 12 layers."""
    return OwnRecipe(
        vqgan=VQGANConfig(side=128, widths=(128, 256), decoder_blocks=4, codes=4096, local=True),
        tokenizer=TokenizerTraining(steps=20_000, precision="auto"),
        tokenizer_batch=64,
        text_vocabulary=8192,
        clip=ClipTraining(steps=6_000, precision="auto", side=128, patch=16, width=256, dim=256),
        clip_batch=512,
        generator=GeneratorConfig(
            width=512, depth=12, heads=16, context=2048, tied=True, period=512
        ),
        stream=StreamConfig(rows=32, length=1024, align=512),
        training=GeneratorTraining(steps=20_000, lr=6e-4, warmup=500, precision="auto"),
        save_every=500,
    )


def tiny() -> OwnRecipe:
    """Seconds on any machine: for tests, never for pictures."""
    return OwnRecipe(
        vqgan=VQGANConfig(side=32, widths=(16, 32), encoder_blocks=1, decoder_blocks=1, codes=32),
        tokenizer=TokenizerTraining(steps=2, warmup=1),
        tokenizer_batch=2,
        text_vocabulary=300,
        clip=ClipTraining(steps=2, width=48, layers=1, dim=16, vocabulary=300, patch=16, warmup=1),
        clip_batch=4,
        generator=GeneratorConfig(width=32, depth=1, heads=2, context=256, tied=True),
        stream=StreamConfig(rows=2, length=192),
        training=GeneratorTraining(steps=2, lr=1e-3, warmup=1),
        settings=Settings(),
        passes=20,
        save_every=1,
    )


OWN: dict[str, Callable[[], OwnRecipe]] = {"own_cpu": own_cpu, "own_gpu": own_gpu, "tiny": tiny}
STAGES = ("tokenizer", "text", "encoder", "memory", "prepared", "racm3", "cm3", "system")


class Own:
    """The stages of a system for one's own documents; a finished one is opened, not made again.

    Killed at any instant, the same stage goes on where it was. Documents that were added to the
    source since are added to the memory; what is trained stays as it is.

    Args:
        source: A folder, COCO JSON, tar shards, Parquet, ... of captioned pictures.
        folder: The folder of the run; the finished system is in its `system`.
        recipe: A name of `OWN`.
        clip: A CLIP or SigLIP folder or hub name to look up with; none trains a small one.
        passes: How often the generators may meet a document, where the recipe is not to say it.
        tolerance: How many unreadable documents to accept.

    Raises:
        ConfigError: There is no such recipe, or the folder holds another run.
    """

    def __init__(
        self,
        source: Path,
        folder: Path,
        recipe: str = "own_cpu",
        *,
        clip: str | None = None,
        passes: float | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        if recipe not in OWN:
            raise ConfigError(f"there is no recipe {recipe!r}; choose one of {', '.join(OWN)}")
        if passes is not None and passes <= 0:
            raise ConfigError(f"documents cannot be met {passes:g} times; give more than 0")
        require(source)
        begun = {"source": str(source.resolve()), "recipe": recipe, "clip": clip}
        hold_to(folder / "own.json", begun)
        self.source, self.folder, self.recipe, self.clip = source, folder, OWN[recipe](), clip
        if passes is not None:
            self.recipe = replace(self.recipe, passes=passes)
        self.tolerance, self.stay_removed = tolerance or Tolerance(), 0
        self.retriever = RETRIEVER if clip else replace(RETRIEVER, too_similar=TOO_SIMILAR)

    @cached_property
    def documents(self) -> list[Document]:
        """All of them, their pictures as small as training needs them."""
        side = max(self.recipe.vqgan.side, self.recipe.clip.side)
        entries = read_source(self.source, Tolerance(self.tolerance.most))
        return fitted(progress(entries, label="reading"), side, self.folder)

    def loop(self, steps: int) -> LoopConfig:
        return LoopConfig(
            steps=steps, save_every=self.recipe.save_every, validate_every=max(1, steps // 8)
        )

    def tokenizer(self) -> ImageTokenizer:
        recipe, place = self.recipe, self.folder / "tokenizer"
        if not (place / "final").exists():
            collection.train_tokenizer(
                self.documents,
                recipe.vqgan,
                recipe.tokenizer,
                self.loop(recipe.tokenizer.steps),
                place,
                batch=recipe.tokenizer_batch,
            )
        return ImageTokenizer.open(place / "final", device=device("auto"))

    def text(self) -> TextTokenizer:
        place = self.folder / "text"
        if not (place / "tokenizer.json").exists():
            collection.train_text(self.documents, place, size=self.recipe.text_vocabulary)
        return TextTokenizer.open(place)

    def encoder(self) -> Dual:
        """What looks documents up: the CLIP that was given, or a small one trained on them."""
        recipe, place = self.recipe, self.folder / "clip"
        if self.clip is None and not (place / "final").exists():
            loop = self.loop(recipe.clip.steps)
            collection.train_clip(self.documents, recipe.clip, loop, place, batch=recipe.clip_batch)
        return open_dual(self.clip or place / "final", device=device("auto"))

    def codec(self) -> Codec:
        return Codec(self.text(), self.tokenizer())

    def memory(self) -> MemoryStore:
        """All documents of the source; those that are there already are passed over."""
        return self._filled

    @cached_property
    def _filled(self) -> MemoryStore:
        encoder, place = self.encoder(), self.folder / "memory"
        if (place / "about.json").exists():
            store = MemoryStore.open(place)
        else:
            store = MemoryStore.create(
                place, encoder=encoder.name, dim=encoder.dim, sides=encoder.sides
            )
        found = progress(find_source(self.source), label="memory")
        filled = fill_memory(store, found, encoder, tolerance=self.tolerance)
        self.stay_removed = filled.stay_removed
        return store

    def prepared(self) -> Prepared:
        place = self.folder / "prepared"
        if not place.exists():
            codec, encoder, store = self.codec(), self.encoder(), self.memory()
            made = collection.prepare_memory(
                codec, encoder, store, self.retriever, draws=self.recipe.draws
            )
            made.save(place)
            store.notes.remember_derived(place)
        return Prepared.open(place)

    @property
    def training(self) -> GeneratorTraining:
        """The recipe's schedule, shorter where documents are so few that each would be met more
        than `passes` times, beside one neighbour on average: then they are known by heart."""
        recipe, whole = self.recipe, self.recipe.training
        ids = 2 * len(self.prepared().documents.arrays["ids"])
        most = recipe.passes * ids / (recipe.stream.rows * recipe.stream.length)
        steps = max(1, min(whole.steps, round(most)))
        return replace(whole, steps=steps, warmup=min(whole.warmup, max(1, steps // 4)))

    def racm3(self) -> None:
        self._generator("racm3", self.recipe.stream)

    def cm3(self) -> None:
        """Vanilla CM3, the baseline: the same run with one value changed."""
        self._generator("cm3", replace(self.recipe.stream, neighbours="none"))

    def _generator(self, name: str, stream: StreamConfig) -> None:
        recipe, place = self.recipe, self.folder / name
        if (place / "final").exists():
            return
        codec, training = self.codec(), self.training
        collection.train_generator(
            codec.vocabulary,
            self.prepared(),
            Beginning(size=recipe.generator, codes=codec.image.vqgan.codebook.vectors),
            training,
            stream,
            loop=self.loop(training.steps),
            folder=place,
        )

    def system(self) -> Path:
        """Everything that is still missing, in order, then the system folder, which knows its
        memory; the baseline is part of it where it was trained."""
        self.racm3()
        self.memory()
        place, encoder = self.folder / "system", self.encoder()
        finals = {name: self.folder / name / "final" for name in GENERATORS}
        models = {name: open_generator(one) for name, one in finals.items() if one.exists()}
        if not place.exists() or load_json(place / "system.json")["generators"] != sorted(models):
            shelf, recipe = EmptyShelf(encoder.dim), self.recipe
            parts = Parts(
                self.codec(), encoder, models, self.retriever, shelf, self.folder.name,
                recipe.stream.align, recipe.settings,
            )  # fmt: skip
            save_parts(parts, place, memory="../memory")
        return place
