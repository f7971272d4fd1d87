"""From documents to unit vectors: the frozen mixed-modal encoder of RA-CM3 §3.2."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from racm3.document import Document, Image, Text
from racm3.errors import ConfigError, DocumentError, MemoryStoreError
from racm3.retrieval.lexical import words
from racm3.runtime import load_json, progress, save_json

Vectors = Float32[np.ndarray, "docs dim"]
SIDES = "documents.json"
Metadata = Mapping[str, str]
# To what power what is known of a question counts: see docs/log.md.
DOUBT = 15


@dataclass(frozen=True, slots=True)
class Dropout:
    """Query dropout (§3.2): forget a share of the tokens or patches; training only."""

    rate: float
    rng: np.random.Generator

    def keep(self, count: int) -> list[int]:
        """Which of `count` things survive; always at least one."""
        survivors = np.flatnonzero(self.rng.random(count) >= self.rate)
        return survivors.tolist() if len(survivors) else [int(self.rng.integers(count))]

    def keep_exactly(self, count: int) -> list[int]:
        """A random subset of fixed size, so that a batch of pictures stays rectangular."""
        size = max(1, round(count * (1 - self.rate)))
        return sorted(self.rng.choice(count, size, replace=False).tolist())


class Apart(NamedTuple):
    """Vectors by what they say.

    Args:
        meaning: Unit vectors of what is meant.
        words: Which words there are; no number where an encoder does not tell.
        known: How much of the text the encoder has met, 0 to 1.
    """

    meaning: Vectors
    words: Float32[np.ndarray, "docs words"]
    known: Float32[np.ndarray, " docs"]


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What a document of the memory is to an encoder: so much text, and its picture in these sizes.

    The paper averages both sides. To an encoder that has met few names most texts are noise, which
    hides what the picture shows; and one that has met small things finds them by small pictures.

    Args:
        text: The text side's share of the vector, in [0, 1].
        sizes: The sizes, as shares of a picture, in which a document's only picture is looked at.
        columns: Metadata that is read after the text where a document has it: a catalogue's
            keywords, say.
        words: How many numbers at the end of a vector tell which words a text has
            (`training/clip_words.py`); pictures leave them at zero.
        weight: How much longer these are than the rest where all that a text says is known.

    Raises:
        ConfigError: A share is none, or words have no weight.
    """

    text: float = 0.5
    sizes: tuple[float, ...] = (1.0,)
    columns: tuple[str, ...] = ()
    words: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.text <= 1:
            raise ConfigError(f"the text side's share {self.text} is not in [0, 1]")
        if not self.sizes or not all(0 < size <= 1 for size in self.sizes):
            raise ConfigError(f"sizes {self.sizes} are not shares of a picture, in (0, 1]")
        if self.words < 0 or self.weight <= 0:
            raise ConfigError(
                f"words {self.words} must not be negative and weight {self.weight} above 0"
            )

    @classmethod
    def of(cls, about: Mapping[str, Any] | None) -> "Sides":
        """From JSON; the paper's average where it says nothing."""
        if about is None:
            return cls()
        try:
            return cls(
                text=float(about["text"]),
                sizes=tuple(map(float, about["sizes"])),
                columns=tuple(map(str, about.get("columns", ()))),
                words=int(about.get("words", 0)),
                weight=float(about.get("weight", 1.0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f'{about} must look like {{"text": 0.5, "sizes": [1.0]}} ({error!r})'
            ) from error

    @classmethod
    def read(cls, folder: Path) -> "Sides":
        """What an encoder's folder says."""
        return cls.of(load_json(folder / SIDES) if (folder / SIDES).exists() else None)

    def seen(self, document: Document, metadata: Metadata) -> Document:
        """What becomes a vector: the picture in its sizes, and behind all else what columns list
        that its text does not say."""
        shown, lists = document.in_sizes(self.sizes), filter(None, map(metadata.get, self.columns))
        if not (listed := ", ".join(lists)):
            return shown
        said = set(words(document.text))
        unsaid = ", ".join(one for one in listed.split(", ") if not said.issuperset(words(one)))
        return Document((*shown.parts, Text(unsaid))) if unsaid else shown

    def apart(self, vectors: Vectors) -> Apart:
        """What texts or pictures mean, which words they have, and how much of it is known."""
        end = vectors.shape[1] - self.words
        told = vectors[:, end:]
        if not self.words:
            return Apart(vectors, told, np.ones(len(vectors), np.float32))
        meaning = vectors.copy()
        meaning[:, end:] = 0
        long, loud = (np.linalg.norm(part, axis=1) for part in (meaning, told))
        known = np.minimum(1.0, self.weight * long / np.maximum(loud, 1e-12))
        return Apart(unit(meaning), told, known.astype(np.float32))

    def asking(self, vectors: Vectors) -> Vectors:
        """As they ask: what is not wholly known has little say, so that words decide.

        What words that nobody knows seem to mean is noise, yet like some document or other.
        """
        if not self.words:
            return vectors
        asked = vectors.copy()
        asked[:, : -self.words] *= self.apart(vectors).known[:, None] ** DOUBT
        return unit(asked)

    def save(self, folder: Path) -> None:
        if self != AVERAGE:
            save_json(folder / SIDES, asdict(self))


AVERAGE = Sides()


@runtime_checkable
class Encoder(Protocol):
    """Anything that puts texts and pictures on one unit sphere."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def sides(self) -> Sides: ...

    def texts(self, texts: Sequence[str], dropout: Dropout | None = None) -> Vectors: ...

    def images(self, pictures: Sequence[Image], dropout: Dropout | None = None) -> Vectors: ...


def require_comparable(about: Mapping[str, Any], encoder: Encoder) -> None:
    """
    Raises:
        MemoryStoreError: The memory that says this of itself holds longer or shorter vectors than
            the encoder asks with.
    """
    if about["dim"] != encoder.dim:
        raise MemoryStoreError(
            f"the memory holds vectors of {about['dim']} numbers made by {about['encoder']}, but "
            f"{encoder.name} makes {encoder.dim}; give the CLIP that it was built with, or build "
            "it anew in another folder (`racm3 memory build`)"
        )


def require_alike(about: Mapping[str, Any], encoder: Encoder) -> None:
    """
    Raises:
        MemoryStoreError: The documents of the memory that says this of itself became vectors in
            another way than the encoder would go with further ones.
    """
    require_comparable(about, encoder)
    made = Sides.of(about.get("sides"))
    if made != encoder.sides:
        raise MemoryStoreError(
            f"this memory's documents were looked at as {made}, but {encoder.name} looks at them "
            f"as {encoder.sides}, so others would not be comparable; build the memory anew with "
            "`racm3 memory build`"
        )


def embed_queries(
    encoder: Encoder, queries: Sequence[Document], *, dropout: Dropout | None = None
) -> Vectors:
    """Questions, to be compared with documents by inner products."""
    return encoder.sides.asking(embed(encoder, queries, dropout=dropout))


def unit(vectors: Float[np.ndarray, "docs dim"]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def mix(text: Vectors | None, image: Vectors | None, *, share: float = 0.5) -> Vectors:
    """Whichever sides there are, the text's by its share, on the unit sphere before and after."""
    if text is None and image is None:
        raise DocumentError("nothing to embed: the document has neither text nor an image")
    if text is None or image is None:
        return unit(image if text is None else text)  # type: ignore[arg-type]
    return unit(share * unit(text) + (1 - share) * unit(image))


def embed(
    encoder: Encoder,
    documents: Sequence[Document],
    *,
    dropout: Dropout | None = None,
    share: float = 0.5,
    label: str | None = None,
) -> Vectors:
    """One unit vector a document: its text side and its picture side, mixed."""
    vectors = np.zeros((len(documents), encoder.dim), dtype=np.float32)
    batches = range(0, len(documents), 64)
    for start in progress(batches, label=label, total=len(batches)) if label else batches:
        some = documents[start : start + 64]
        texts = {i: d.text for i, d in enumerate(some) if d.text.strip()}
        owners = [i for i, d in enumerate(some) for _ in d.images]
        pictures = [picture for d in some for picture in d.images]
        of_text = dict(zip(texts, encoder.texts(list(texts.values()), dropout), strict=True))
        of_image = encoder.images(pictures, dropout)
        for i, document in enumerate(some):
            document.require_parts()
            mine = [v for v, owner in zip(of_image, owners, strict=True) if owner == i]
            text = of_text[i][None] if i in of_text else None
            image = np.mean(mine, axis=0, keepdims=True) if mine else None
            vectors[start + i] = mix(text, image, share=share)[0]
    return vectors


def embed_memory(
    encoder: Encoder,
    documents: Sequence[Document],
    metadata: Sequence[Metadata] | None = None,
    *,
    label: str | None = None,
) -> Vectors:
    """The same of documents that a memory holds, each as `encoder.sides` says."""
    sides, told = encoder.sides, metadata or [{}] * len(documents)
    seen = [sides.seen(document, one) for document, one in zip(documents, told, strict=True)]
    return embed(encoder, seen, share=sides.text, label=label)
