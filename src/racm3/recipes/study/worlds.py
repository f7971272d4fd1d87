"""What a study is made on: documents to learn from, a memory, and documents never seen."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float32

from racm3.data.sample_world import corpus
from racm3.data.sample_world.scenes import Scene
from racm3.data.sample_world.things import held_out_things, things
from racm3.document import Document, Image, fit
from racm3.errors import ConfigError, SourceError
from racm3.model.transformer import Transformer
from racm3.recipes import lessons
from racm3.recipes.collection import train_text, train_tokenizer
from racm3.recipes.lessons import Fiction, Lessons
from racm3.recipes.study.budgets import Budget
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import AVERAGE, Dropout, Encoder, embed_memory
from racm3.retrieval.shelf import ListShelf, Shelf
from racm3.runtime import device, dice
from racm3.sharing import alone
from racm3.system.parts import Parts, SampleShelf, open_parts, sample_folder
from racm3.tokens.codec import Codec
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.loop import LoopConfig
from racm3.training.vqgan import TokenizerTraining

UNSEEN = 2000
SAID = 5
VIEW = 71
SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


@dataclass(frozen=True)
class World:
    """Documents, memory and judges of one study.

    Attributes:
        lessons: What is learnt from, and what neighbours are found in while learning; made when
            it is asked for.
        open_memory: What is consulted when the generator is asked.
        references: For every unseen document, what people say of its picture.
        scenes: For every unseen document, the scene it shows, where that is known.
        classes: Pictures by class, for few-shot episodes.
        stand_ins: What stands in for what the papers use, for the head of every report.
        sizes: The sizes in which the generators know documents' pictures (see `Voice`).
        trained: A finished system's generators, by name.
        base: The folder of a trained CM3 that runs may start from.
        private: Whether its documents may not be passed on, so that no report shows one.
    """

    name: str
    codec: Codec
    encoder: Encoder
    retriever: RetrieverConfig
    lessons: Callable[[], Sequence[Lessons]]
    open_memory: Shelf
    unseen: Sequence[Document]
    references: Sequence[Sequence[str]]
    align: int
    stand_ins: str
    sizes: tuple[float, ...] = (1.0,)
    scenes: Sequence[Scene] = ()
    classes: Sequence[Sequence[Image]] = field(default_factory=list)
    trained: Mapping[str, Transformer] = field(default_factory=dict)
    base: Path | None = None
    private: bool = False


def sample_world(budget: Budget, *, system: Path | None = None) -> World:
    """The shipped tokenizer and CLIP; scenes of seen things are learnt, of held-out ones judged."""
    place = system or sample_folder()
    parts = open_parts(place, None, device("auto"))
    everything = SampleShelf(place, parts.encoder.dim)
    table = next(everything.blocks())
    seen = np.array([not thing.held_out for thing in things()])
    unseen = corpus.scenes(held_out_things(), budget.unseen, seed=UNSEEN)
    memory = ListShelf(corpus.memory("seen"), table.vectors[seen])

    def taught() -> list[Lessons]:
        return [
            lessons.seen(budget.documents, memory),
            lessons.fictional(budget.fiction, Fiction(budget.fictional_things), parts.encoder.dim),
        ]

    return World(
        name="sample",
        codec=parts.codec,
        encoder=parts.encoder,
        retriever=parts.retriever,
        lessons=taught,
        open_memory=everything,
        unseen=[document for _, document in unseen],
        references=[scene.captions() for scene, _ in unseen],
        align=parts.align,
        sizes=parts.sizes,
        stand_ins="Scenes of drawn things instead of photographs; a small CLIP and VQGAN trained "
        "on them; unseen documents show things that no generator was trained on.",
        scenes=[scene for scene, _ in unseen],
        classes=corpus.classes(),
        trained=parts.generators,
        base=place / "cm3",
    )


def finished(parts: Parts, documents: Sequence[Document]) -> World:
    """A finished system and documents that it never saw, each with a text and a picture."""
    return World(
        name=parts.name,
        codec=parts.codec,
        encoder=parts.encoder,
        retriever=parts.retriever,
        lessons=list,
        open_memory=parts.shelf,
        unseen=documents,
        references=[[document.text] for document in documents],
        align=parts.align,
        stand_ins=f"{len(documents)} documents of their owner's instead of COCO; "
        f"memory: {parts.shelf.snapshot_name}.",
        sizes=parts.sizes,
        trained=parts.generators,
    )


class StoredEncoder:
    """Vectors that were computed elsewhere, looked up by caption and by picture."""

    sides = AVERAGE

    def __init__(
        self, name: str, texts: dict[str, np.ndarray], pictures: dict[str, np.ndarray]
    ) -> None:
        self._name, self._texts, self._pictures = name, texts, pictures

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return len(next(iter(self._texts.values())))

    def texts(
        self, texts: Sequence[str], dropout: Dropout | None = None
    ) -> Float32[np.ndarray, "docs dim"]:
        return self._found(self._texts, list(texts), dropout)

    def images(
        self, pictures: Sequence[Image], dropout: Dropout | None = None
    ) -> Float32[np.ndarray, "docs dim"]:
        return self._found(self._pictures, [fingerprint(one) for one in pictures], dropout)

    def _found(
        self, known: dict[str, np.ndarray], keys: list[str], dropout: Dropout | None
    ) -> Float32[np.ndarray, "docs dim"]:
        if dropout is not None:
            raise ConfigError(f"{self.name} holds finished vectors: query_dropout must be 0")
        missing = [key for key in keys if key not in known]
        if missing:
            raise ConfigError(f"{self.name} holds no vector for {missing[0][:60]!r}")
        found = [known[key] for key in keys]
        return np.array(found, dtype=np.float32).reshape(-1, self.dim)


def view(picture: Image, said: str, rng: np.random.Generator) -> Image:
    """Most of a picture, mirrored half of the time unless what is `said` of it knows a side."""
    side = int(min(picture.height, picture.width) * rng.uniform(0.75, 1))
    top, left = (int(rng.integers(n - side + 1)) for n in (picture.height, picture.width))
    pixels = picture.pixels[top : top + side, left : left + side]
    if rng.random() < 0.5 and not SIDES.search(said):
        pixels = pixels[:, ::-1]
    return Image(np.ascontiguousarray(pixels))


def fingerprint(picture: Image) -> str:
    return hashlib.blake2b(picture.pixels.tobytes(), digest_size=16).hexdigest()


def photographs(budget: Budget, folder: Path, data: Path) -> World:
    """Flickr8k (Hodosh et al. 2013) as it lies in `data`: train is learnt and remembered, dev
    judges. `folder` keeps the image and text tokenizers that are trained here."""
    texts: dict[str, np.ndarray] = {}
    pictures: dict[str, np.ndarray] = {}
    train = _flickr(data, "train", budget.documents, texts, pictures)
    unseen = _flickr(data, "dev", budget.unseen, texts, pictures)
    encoder = StoredEncoder("MobileNet dual encoder (not CLIP)", texts, pictures)
    remembered = [Document.of(captions[0], picture) for picture, captions in train]
    number = len(train)
    # Each caption is learnt beside another view, so that no picture is soon known by heart; the
    # first of both is also what the memory shows.
    learnt = []
    for row in range(SAID * number):
        (picture, captions), said = train[row % number], row // number
        seen = fit(view(picture, captions[said], dice(VIEW, row)), budget.side) if said else picture
        pictures[fingerprint(seen)] = pictures[fingerprint(picture)]
        learnt.append(Document.of(captions[said], seen))
    groups = [frozenset({str(row % number)}) for row in range(SAID * number)]
    shelf = ListShelf(remembered, embed_memory(encoder, remembered))
    return World(
        name="photographs",
        codec=_photo_codec(budget, folder, remembered, learnt),
        encoder=encoder,
        retriever=RetrieverConfig(query_dropout=0.0),
        lessons=lambda: [Lessons(learnt, shelf, groups)],
        open_memory=shelf,
        unseen=[Document.of(captions[0], picture) for picture, captions in unseen],
        references=[captions for _, captions in unseen],
        align=2 * (budget.side // 8) ** 2,
        stand_ins="Flickr8k at a small size instead of LAION and COCO; its retriever is a frozen "
        "MobileNet dual encoder trained on Flickr8k's train split, which is not CLIP.",
        private=True,
    )


def _flickr(
    data: Path,
    split: str,
    most: int,
    texts: dict[str, np.ndarray],
    pictures: dict[str, np.ndarray],
) -> list[tuple[Image, list[str]]]:
    """Pictures with their captions; their vectors are put into `texts` and `pictures`."""
    files = sorted(data.glob(f"{split}-*.parquet"))
    if not files:
        raise SourceError(f"there is no {split}-*.parquet in {data}; give Flickr8k's folder")
    # Read once: every look into the archive would unpack a whole array again.
    with np.load(data / f"{split}-vectors.npz", allow_pickle=False) as stored:
        images, said = (stored[name].astype(np.float32) for name in ("image", "captions"))
        row_of = {name: row for row, name in enumerate(stored["ids"].tolist())}
    found = []
    rows = (row for file in files for row in pq.read_table(file).to_pylist())
    for entry in islice(rows, most):
        picture, row = Image.decode(entry["image"], name=entry["id"]), row_of[entry["id"]]
        pictures[fingerprint(picture)] = images[row]
        texts.update(zip(entry["captions"], said[row], strict=True))
        found.append((picture, list(entry["captions"])))
    return found


def _photo_codec(
    budget: Budget, folder: Path, remembered: Sequence[Document], learnt: Sequence[Document]
) -> Codec:
    sizes = VQGANConfig(side=budget.side, codes=2048, local=True)
    training = TokenizerTraining(steps=budget.tokenizer_steps, precision=budget.precision)
    loop = LoopConfig(steps=budget.tokenizer_steps, validate_every=500)
    with alone(folder / "tokenizer"):
        image = train_tokenizer(remembered, sizes, training, loop, folder / "tokenizer")
        if not (folder / "text" / "tokenizer.json").exists():
            train_text(learnt, folder / "text", size=4096)
    return Codec(TextTokenizer.open(folder / "text"), image)
