"""From documents that were found to a memory, and out of it again."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from racm3.data.ahead import Tolerance, read_ahead
from racm3.data.prepared import Prepared
from racm3.errors import ConfigError, SourceError
from racm3.retrieval.embedding import Encoder, embed_memory, require_alike
from racm3.retrieval.entry import Entry, Readable
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.notes import Known, digest
from racm3.runtime import autocast, device

# Documents are written a batch at a time, which a crash can lose: 64, or a thirty-second of what is
# there, so that the table's files stay few; fewer of these where their pictures are large.
AT_ONCE, SHARE, MOST, PIXELS = 64, 32, 1024, 2**28


@dataclass(frozen=True, slots=True)
class Filled:
    """What filling a memory did."""

    added: int
    already_there: int
    stay_removed: int


def fill_memory(
    store: MemoryStore,
    found: Iterable[Readable],
    encoder: Encoder | None = None,
    *,
    vectors: Float32[np.ndarray, "docs dim"] | None = None,
    again: bool = False,
    tolerance: Tolerance | None = None,
    precision: str = "fp32",
) -> Filled:
    """Add documents in batches; each batch is on disk before the next one is complete.

    A source that is there already is not opened, so the same call after a crash soon goes on where
    it was; one that was removed is skipped unless it is to come `again`. `vectors` brings one's
    own, row by row in the order of what was found. An encoder multiplies as `precision` says, on
    the device that `runtime.device` chooses.

    Raises:
        SourceError: More than `tolerance` accepts cannot be read (none where it is not given), or
            vectors are not as many as documents.
    """
    if vectors is not None and tolerance is not None and tolerance.most:
        raise ConfigError("behind an unreadable document every vector would be another one's")
    if vectors is None and encoder is None:
        raise ConfigError("either an encoder or vectors must be given")
    if vectors is None and encoder is not None:
        require_alike(store.about, encoder)
    removed = frozenset[str]() if again else store.notes.removed()
    new, added = New(found, Known(store.sources()), removed), 0
    stream = read_ahead(new, tolerance or Tolerance())
    while batch := _batch(stream, min(len(store) // SHARE, MOST)):
        entries = [entry for _, entry in batch]
        if vectors is not None:
            _enough(vectors, batch[-1][0].row + 1)
            rows = vectors[[one.row for one, _ in batch]]
        elif encoder is not None:
            documents, metadata = zip(*((e.document, e.metadata) for e in entries), strict=True)
            with autocast(device("auto"), precision):
                rows = embed_memory(encoder, documents, metadata)
        added += len(store.add(entries, rows))
    if vectors is not None and new.seen != len(vectors):
        raise SourceError(f"{len(vectors)} vectors were given for {new.seen} documents")
    return Filled(added, new.already_there, new.stay_removed)


class Fresh(NamedTuple):
    """A document to be added, and which of all that were found it is."""

    row: int
    source: str
    read: Callable[[], Entry]


@dataclass
class New:
    """What was found and is neither there nor was removed; it counts what it passes over."""

    found: Iterable[Readable]
    known: Known
    removed: Container[str]
    seen: int = 0
    already_there: int = 0
    stay_removed: int = 0

    def __iter__(self) -> Iterator[Fresh]:
        for one in self.found:
            self.seen += 1
            if one.source in self.known:
                self.already_there += 1
            elif digest(one.source) in self.removed:
                self.stay_removed += 1
            else:
                yield Fresh(self.seen - 1, one.source, partial(_read, one))


def _read(one: Readable) -> Entry:
    """With its fingerprint, which takes the pixels of large pictures a while."""
    entry = one.read()
    return replace(entry, group=entry.own_group())


def _batch(stream: Iterator[tuple[Fresh, Entry]], most: int) -> list[tuple[Fresh, Entry]]:
    """The next 64 documents, and more up to `most` while their pixels leave room in RAM."""
    batch = list(islice(stream, AT_ONCE))
    held = sum(_pixels(entry) for _, entry in batch)
    while len(batch) < most and held < PIXELS and (one := next(stream, None)):
        batch.append(one)
        held += _pixels(one[1])
    return batch


def _pixels(entry: Entry) -> int:
    return sum(image.pixels.nbytes for image in entry.document.images)


def _enough(vectors: np.ndarray, needed: int) -> None:
    if len(vectors) < needed:
        raise SourceError(
            f"there are only {len(vectors)} vectors but at least {needed} documents; "
            "give one row for every document of the source, in its order"
        )


def remove_documents(store: MemoryStore, ids: Sequence[int]) -> int:
    """Delete for good: from the memory, and from the training material made of it."""
    for folder in store.notes.derived():
        if folder.exists():
            Prepared.open(folder).without(set(ids)).save(folder)
    return store.remove(ids)
