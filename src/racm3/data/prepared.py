"""Training material as a folder: documents and a memory as ids, and who neighbours whom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from racm3.errors import CheckpointError, ConfigError
from racm3.runtime import folder_written_whole, load_json, save_json
from racm3.tokens.codec import Kind, Segment, Segments

WORDS = "words.npy"  # only where somebody's are given or asked for


class TokenTable:
    """Many documents' segments in four flat arrays that can stay on disk (memory-mapped)."""

    ARRAYS = ("ids", "segment_stops", "segment_kinds", "document_stops")

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["document_stops"])

    def __getitem__(self, row: int) -> Segments:
        arrays = self.arrays
        first = int(arrays["document_stops"][row - 1]) if row else 0
        segments = []
        for segment in range(first, int(arrays["document_stops"][row])):
            start = int(arrays["segment_stops"][segment - 1]) if segment else 0
            ids = arrays["ids"][start : int(arrays["segment_stops"][segment])]
            segments.append(
                Segment(Kind(int(arrays["segment_kinds"][segment])), tuple(ids.tolist()))
            )
        return tuple(segments)

    @classmethod
    def of(cls, documents: Sequence[Segments]) -> "TokenTable":
        flat = [segment for document in documents for segment in document]
        ids = [id_ for segment in flat for id_ in segment.ids]
        return cls({
            "ids": np.array(ids, dtype=np.int32),
            "segment_stops": np.cumsum([len(s.ids) for s in flat], dtype=np.int64),
            "segment_kinds": np.array([s.kind for s in flat], dtype=np.uint8),
            "document_stops": np.cumsum([len(d) for d in documents], dtype=np.int64),
        })  # fmt: skip

    def __add__(self, other: "TokenTable") -> "TokenTable":
        """The documents of both, in order."""
        ids, stops = len(self.arrays["ids"]), len(self.arrays["segment_stops"])
        behind = {"segment_stops": ids, "document_stops": stops}
        return TokenTable({
            name: np.concatenate([self.arrays[name], other.arrays[name] + behind.get(name, 0)])
            for name in self.ARRAYS
        })  # fmt: skip

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.ARRAYS:
            np.save(folder / f"{name}.npy", self.arrays[name], allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> "TokenTable":
        return cls({name: _mapped(folder / f"{name}.npy") for name in cls.ARRAYS})


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); run `racm3 prepare` again"
        ) from error


class Prepared:
    """A folder of training material: documents, the memory beside them, who neighbours whom, and
    what becomes of each document's words (`Words`); left out, all are open."""

    def __init__(
        self,
        documents: TokenTable,
        memory: TokenTable,
        neighbours: Int64[np.ndarray, "docs draws depth"],
        about: dict[str, Any],
        words: UInt8[np.ndarray, " docs"] | None = None,
    ) -> None:
        if len(neighbours) != len(documents):
            raise ConfigError(
                f"{len(documents)} documents came with neighbours for {len(neighbours)}; "
                "prepare them together"
            )
        self.documents, self.memory, self.neighbours = documents, memory, neighbours
        self.about = about
        self.words = np.zeros(len(documents), dtype=np.uint8) if words is None else words

    def __add__(self, other: "Prepared") -> "Prepared":
        """The documents of both, each with its own memory's neighbours."""
        theirs = np.where(other.neighbours < 0, -1, other.neighbours + len(self.memory))
        both = self.neighbours, theirs
        depth = max(some.shape[2] for some in both)
        deep = [
            np.pad(one, ((0, 0), (0, 0), (0, depth - one.shape[2])), constant_values=-1)
            for one in both
        ]
        return Prepared(
            self.documents + other.documents,
            self.memory + other.memory,
            np.concatenate(deep),
            self.about,
            np.concatenate([self.words, other.words]),
        )

    def save(self, folder: str | Path) -> None:
        with folder_written_whole(Path(folder)) as temporary:
            self.documents.save(temporary / "documents")
            self.memory.save(temporary / "memory")
            np.save(temporary / "neighbours.npy", self.neighbours, allow_pickle=False)
            if self.words.any():
                np.save(temporary / WORDS, self.words, allow_pickle=False)
            save_json(temporary / "about.json", self.about)

    def without(self, ids: set[int]) -> "Prepared":
        """The same material after documents of its memory were removed, read into RAM.

        They vanish from the tables and from everybody's neighbours.
        """
        rows = {row for row, id_ in enumerate(self.about["ids"]) if id_ in ids}
        keep = [row for row in range(len(self.memory)) if row not in rows]
        new = np.full(len(self.memory) + 1, -1, dtype=np.int64)  # the last stands for "none"
        new[keep] = np.arange(len(keep))
        about = {**self.about, "ids": [self.about["ids"][row] for row in keep]}
        mine = list(keep if self.about["of_memory"] else range(len(self.documents)))
        documents = TokenTable.of([self.documents[row] for row in mine])
        memory = TokenTable.of([self.memory[row] for row in keep])
        return Prepared(documents, memory, new[self.neighbours[mine]], about, self.words[mine])

    @classmethod
    def open(cls, folder: str | Path) -> "Prepared":
        folder = Path(folder)
        words = folder / WORDS
        if (folder / "given.npy").exists():
            raise CheckpointError(f"{folder} was prepared by an older racm3; prepare it again")
        return cls(
            TokenTable.open(folder / "documents"),
            TokenTable.open(folder / "memory"),
            _mapped(folder / "neighbours.npy"),
            load_json(folder / "about.json"),
            _mapped(words) if words.exists() else None,
        )
