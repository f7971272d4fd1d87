"""A system as a folder: its parts, saved and opened, and checked against each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from racm3.document import Document
from racm3.errors import CheckpointError, ConfigError, VocabularyMismatch
from racm3.model.export import open_generator, save_generator
from racm3.model.transformer import Transformer
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Encoder, embed_memory, require_comparable
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.shelf import ListShelf, Shelf
from racm3.retrieval.siglip import Dual, open_dual
from racm3.runtime import folder_written_whole, load_json, save_json
from racm3.system.rephrasing import Rephrasing
from racm3.system.results import Settings
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer

FORMAT = 1
GENERATORS = ("racm3", "cm3")
# The sample world's memory, encoded; a system folder that has it consults the sample world.
VECTORS = "memory_vectors.npy"
SAMPLE = "sample"
# Where a system's own memory is, unless it says otherwise.
MEMORY = "memory"


@dataclass
class Parts:
    """Everything that answering needs; `generators` may hold the CM3 baseline beside RA-CM3.

    `settings` are how this system answers best, for whoever does not say otherwise. Its generators
    know documents' pictures in these `sizes` (see `Voice`) and read what people type in this
    `rephrasing`.
    """

    codec: Codec
    encoder: Encoder
    generators: dict[str, Transformer]
    retriever: RetrieverConfig
    shelf: Shelf
    name: str
    align: int = 0
    settings: Settings = field(default_factory=Settings)
    sizes: tuple[float, ...] = (1.0,)
    rephrasing: Rephrasing = field(default_factory=Rephrasing)

    def __post_init__(self) -> None:
        if not self.sizes or not all(0 < size <= 1 for size in self.sizes):
            raise ConfigError(f"sizes {self.sizes} are not shares of a picture, in (0, 1]")
        for model in self.generators.values():
            if model.config.vocabulary != len(self.codec.vocabulary):
                raise VocabularyMismatch(model.config.vocabulary, len(self.codec.vocabulary))


def save_parts(
    parts: Parts, folder: Path, *, dtype: torch.dtype = torch.float32, memory: str | None = None
) -> None:
    """All of the folder or nothing; the memory is its own folder and stays where it is.

    `memory` says where, seen from the system's folder; without it, in its `memory` if there is one.
    """
    if not isinstance(parts.encoder, Dual):
        raise ConfigError(
            f"only a CLIP or SigLIP can be saved with a system, not {parts.encoder.name}"
        )
    with folder_written_whole(folder) as temporary:
        parts.codec.image.save(temporary / "tokenizer", dtype=dtype)
        parts.codec.text.save(temporary / "text")
        parts.encoder.save(temporary / "clip", dtype=dtype)
        for name, model in parts.generators.items():
            save_generator(model, temporary / name, dtype=dtype)
        about = {
            "format": FORMAT,
            "generators": sorted(parts.generators),
            "retriever": asdict(parts.retriever),
            "align": parts.align,
            "settings": asdict(parts.settings),
            "sizes": parts.sizes,
            "rephrasing": parts.rephrasing.to_json(),
        }
        if memory is not None:
            about["memory"] = memory
        save_json(temporary / "system.json", about)


def open_parts(folder: Path, shelf: Shelf | Path | None, device: torch.device) -> Parts:
    about = require_system(folder)
    encoder = open_dual(folder / "clip", device=device)
    image = ImageTokenizer.open(folder / "tokenizer", device=device)
    generators = {
        name: open_generator(folder / name, device=device) for name in about["generators"]
    }
    return Parts(
        codec=Codec(TextTokenizer.open(folder / "text"), image),
        encoder=encoder,
        generators=generators,
        retriever=_retriever(about["retriever"]),
        shelf=_shelf(folder, shelf, encoder, about.get("memory")),
        name=SAMPLE if folder == sample_folder() else folder.name,
        align=about["align"],
        settings=recommended(folder),
        sizes=tuple(about.get("sizes", (1.0,))),
        rephrasing=Rephrasing.of_json(about.get("rephrasing", {})),
    )


def _retriever(about: dict[str, Any]) -> RetrieverConfig:
    """JSON has lists where the configuration has tuples."""
    about.pop("looks", None)  # what names said last made needless, in systems saved before
    lists = {name: tuple(about.get(name, ())) for name in ("columns", "aliases")}
    layouts = tuple(tuple(tuple(at) for at in one) for one in about.get("layouts", ()))
    return RetrieverConfig(**{**about, **lists, "layouts": layouts})


def recommended(folder: Path) -> Settings:
    """How the system in this folder answers best."""
    return Settings.of(require_system(folder).get("settings", {}))


def require_system(folder: Path) -> dict[str, Any]:
    """What the system in this folder says of itself.

    Raises:
        CheckpointError: There is none, or one of another format.
    """
    if not (folder / "system.json").exists():
        raise CheckpointError(
            f"there is no system at {folder}; give a folder with a system.json, or 'sample'"
        )
    about = load_json(folder / "system.json")
    if about.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} is a system of format {about.get('format')}; this racm3 reads {FORMAT}"
        )
    return about


def _shelf(
    folder: Path, shelf: Shelf | Path | None, encoder: Encoder, remembered: str | None
) -> Shelf:
    if shelf is not None and not isinstance(shelf, Path):
        return shelf
    path = shelf or folder / (remembered or MEMORY)
    if shelf is None and (folder / VECTORS).exists():
        return SampleShelf(folder, encoder.dim)
    if shelf is None and remembered is None and not path.exists():
        return EmptyShelf(encoder.dim)
    store = MemoryStore.open(path)
    require_comparable(store.about, encoder)
    return store


def sample_folder() -> Path:
    return Path(str(files("racm3.assets") / "sample" / "system"))


def system_folder(where: str | Path) -> Path:
    """The folder of a system that a user names: a folder, or `sample` for the one that ships."""
    return sample_folder() if str(where) == SAMPLE else Path(where)


class SampleShelf(ListShelf):
    """The pack's things as a memory, with vectors that were made once and ship beside it."""

    def __init__(self, folder: Path, encoder_dim: int) -> None:
        from racm3.data.sample_world.aliases import aliases
        from racm3.data.sample_world.things import things

        vectors = np.load(folder / VECTORS, allow_pickle=False).astype(np.float32)
        if vectors.shape != (len(things()), encoder_dim):
            raise CheckpointError(
                f"{folder / VECTORS} has shape {vectors.shape}, expected "
                f"{(len(things()), encoder_dim)}; install racm3 again"
            )
        columns = {
            "text": [thing.text for thing in things()],
            "keywords": [thing.metadata["keywords"] for thing in things()],
            "aliases": [", ".join(aliases().get(thing.name, ())) for thing in things()],
        }
        super().__init__([], vectors, [thing.name for thing in things()], columns)
        self._things = things()

    @property
    def snapshot_name(self) -> str:
        return f"sample world, {len(self._things)} things"

    def documents(self, ids: Sequence[int]) -> list[Document]:
        from racm3.data.sample_world.corpus import displayed

        return [displayed(self._things[i]) for i in ids]


class EmptyShelf(ListShelf):
    """No memory at all: the generator answers from what it has learnt."""

    snapshot_name = "no memory"

    def __init__(self, dim: int) -> None:
        super().__init__([], np.zeros((0, dim), np.float32))


def write_sample_vectors(folder: Path, encoder: ClipEncoder) -> None:
    """Encode the pack once, so that nobody has to wait for it."""
    from racm3.data.sample_world.corpus import memory
    from racm3.data.sample_world.things import things

    metadata = [thing.metadata for thing in things()]
    vectors = embed_memory(encoder, memory("all"), metadata, label="memory")
    np.save(folder / VECTORS, vectors.astype(np.float16), allow_pickle=False)
