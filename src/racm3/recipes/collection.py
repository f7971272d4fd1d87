"""A collection of one's own: from a memory to training material and trained parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.data.live import Live
from racm3.data.prepare import Remembered, prepare
from racm3.data.prepared import Prepared
from racm3.data.stream import Stream, StreamConfig, validation_batches
from racm3.document import Document, Image, fit
from racm3.errors import ConfigError, SourceError
from racm3.model.config import GeneratorConfig
from racm3.model.export import open_generator
from racm3.model.growing import extended, with_other_codes
from racm3.model.transformer import Transformer
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Encoder, require_comparable
from racm3.retrieval.memory import Entry, MemoryStore
from racm3.retrieval.retriever import Retriever
from racm3.runtime import device, dice, join_world
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer, to_pixels
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vocabulary import Vocabulary
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.model import VQGAN
from racm3.training.clip import ClipLearner, ClipTraining, new_clip
from racm3.training.generator import GeneratorLearner, GeneratorTraining, begin_with_codes
from racm3.training.loop import LoopConfig, train
from racm3.training.vqgan import PictureBatch, TokenizerLearner, TokenizerTraining


def prepare_memory(
    codec: Codec,
    encoder: Encoder,
    store: MemoryStore,
    config: RetrieverConfig,
    *,
    draws: int = 2,
    depth: int = 2,
    others: Sequence[Entry] = (),
) -> Prepared:
    """Every document of a memory as training material, its neighbours found in the same memory.

    With `others` those are the material instead, and the memory only lends neighbours. A document
    never neighbours itself or another one of its group.

    Raises:
        MemoryStoreError: Another encoder made the memory's vectors.
    """
    require_comparable(store.about, encoder)
    retriever = Retriever(encoder, store, config)
    ids = retriever.ids.tolist()
    groups = [frozenset({entry.own_group()}) for entry in others]
    documents: Sequence[Document] = [entry.document for entry in others]
    if not others:
        groups = [frozenset({group}) for group in store.table().groups]
        documents = Remembered(store, ids)
    made = prepare(codec, documents, retriever, groups=groups, draws=draws, depth=depth)
    made.about |= {"ids": ids, "of_memory": not others}
    return made


def live_neighbours(
    prepared: Prepared, encoder: Encoder, store: MemoryStore, config: RetrieverConfig
) -> Live:
    """The memory that some material was made of, asked anew for every training sample."""
    require_comparable(store.about, encoder)
    retriever = Retriever(encoder, store, config)
    ids = prepared.about.get("ids")
    if not prepared.about.get("of_memory") or ids != retriever.ids.tolist():
        raise ConfigError(
            f"the material was not made of {store.path} as it is now; run `racm3 prepare` on it "
            "again, or train without --live"
        )
    table = store.table()
    return Live(
        retriever,
        lambda row: store.documents([ids[row]])[0],
        lambda row: frozenset({table.groups[row]}),
        depth=prepared.neighbours.shape[2],
    )


def pictures_of(documents: Sequence[Document], *, side: int) -> list[Image]:
    found = [fit(picture, side) for document in documents for picture in document.images]
    if not found:
        raise SourceError("none of the documents has a picture; the image tokenizer needs some")
    return found


def train_tokenizer(
    documents: Sequence[Document],
    config: VQGANConfig,
    training: TokenizerTraining,
    loop: LoopConfig,
    folder: Path,
    *,
    batch: int = 32,
) -> ImageTokenizer:
    """A VQGAN for one's own pictures; random batches are functions of (seed, step)."""
    pictures = pictures_of(documents, side=config.side)
    torch.manual_seed(training.seed)

    def some(step: int) -> PictureBatch:
        rows = dice(training.seed, 1, step).integers(len(pictures), size=batch)
        return PictureBatch(to_pixels([pictures[row] for row in rows]))

    learner = TokenizerLearner(
        VQGAN(config), training, some, to_pixels(pictures[:64]), device("auto")
    )
    train(learner, loop, folder)
    return ImageTokenizer.open(folder / "final")


def train_clip(
    documents: Sequence[Document],
    config: ClipTraining,
    loop: LoopConfig,
    folder: Path,
    *,
    batch: int = 128,
) -> None:
    """A small CLIP for one's own captioned pictures."""
    pairs = [d for d in documents if d.images and d.text.strip()]
    if not pairs:
        raise SourceError("none of the documents has both a text and a picture to learn CLIP from")
    encoder = new_clip(config, [document.text for document in pairs])

    def some(step: int) -> list[Document]:
        rows = dice(config.seed, 2, step).integers(len(pairs), size=batch)
        return [pairs[row] for row in rows]

    train(ClipLearner(encoder, config, some, pairs[:200], device("auto")), loop, folder)


def train_text(documents: Iterable[Document], folder: Path, *, size: int) -> TextTokenizer:
    tokenizer = TextTokenizer.train((document.text for document in documents), size=size)
    tokenizer.save(folder)
    return tokenizer


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a generator starts: fresh at a size, or from trained weights (RA-CM3 §D.2).

    Args:
        size: The size of a fresh one.
        weights: Trained weights.
        extend: Whether these are a language model's, whose ids are text alone so far.
        codes: A codebook whose geometry the codes' embeddings of a fresh one begin with.
        parents: The weights are of another codebook: the code that stood where each of now stands.
    """

    size: GeneratorConfig | None = None
    weights: Path | None = None
    extend: bool = False
    codes: Float[Tensor, "codes dim"] | None = None
    parents: Int[Tensor, " codes"] | None = None

    def model(self, vocabulary: Vocabulary, seed: int) -> Transformer:
        if self.weights is not None:
            model = open_generator(self.weights)
            if self.parents is not None:
                fewer = len(vocabulary) - model.config.vocabulary
                codes = range(vocabulary.image.start, vocabulary.image.stop - fewer)
                return with_other_codes(model, codes, self.parents)
            if not self.extend:
                return model
            return extended(model, text=len(vocabulary.text), vocabulary=len(vocabulary), seed=seed)
        if self.size is None:
            raise ConfigError("either a size or weights to start from must be given")
        torch.manual_seed(seed)
        model = Transformer(self.size.sized(len(vocabulary)))
        if self.codes is not None:
            begin_with_codes(model, vocabulary.image.start, self.codes)
        return model


def train_generator(
    vocabulary: Vocabulary,
    prepared: Prepared,
    beginning: Beginning,
    training: GeneratorTraining,
    stream: StreamConfig,
    *,
    loop: LoopConfig,
    folder: Path,
    validation: Prepared | None = None,
    live: Live | None = None,
    on: torch.device | None = None,
) -> None:
    """RA-CM3, or vanilla CM3 where `stream.neighbours` is none; the same loop either way.

    Under `torchrun` every process takes its share of the samples; the weights stay equal.
    """
    rank = join_world()
    training = training if training.steps else replace(training, steps=loop.steps)
    model = beginning.model(vocabulary, training.seed)
    source = Stream(prepared, stream, vocabulary, live=live, rank=rank.number, world=rank.world)
    unseen = validation_batches(validation, stream, vocabulary) if validation else []
    learner = GeneratorLearner(model, training, source, unseen, on or device("auto"))
    train(learner, loop, folder, rank=rank.number)
