"""One opened system behind the server: shared by all requests, with a memory that may change."""

import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from racm3.document import Document
from racm3.errors import MemoryStoreError
from racm3.generation.batching import Batcher
from racm3.interfaces.server.config import ServerConfig
from racm3.recipes.remembering import remove_documents
from racm3.retrieval.embedding import embed_memory, require_alike
from racm3.retrieval.entry import Entry
from racm3.retrieval.memory import MemoryStore
from racm3.runtime import dice
from racm3.system import RACM3, Consulted
from racm3.system.cores import lanes, rows
from racm3.system.voice import Watch

AT_ONCE, FEW = 256, 16
LOOKED_AT = 4


class ReadOnly(MemoryStoreError):
    """The memory cannot be changed: 409."""


class NotThere(MemoryStoreError):
    """There is no such document: 404."""


class Service:
    """Answers through batchers, so that requests in different threads are stepped together."""

    def __init__(self, system: RACM3, config: ServerConfig) -> None:
        self.system, self.config = system, config
        self.batchers: list[Batcher] = []
        self.changing = threading.Lock()
        self.earlier: dict[int, RACM3] = {}
        self.systems = {"racm3": self._shared(system)}
        if "cm3" in system.parts.generators:
            self.systems["cm3"] = self._shared(system.without_retrieval)

    def _shared(self, system: RACM3) -> RACM3:
        threads = self.config.lanes or lanes(system)
        most = self.config.rows or rows(system, threads)
        batcher = Batcher(system.engine, rows=most, lanes=threads)
        system.voice = replace(system.voice, speaker=batcher)
        self.batchers.append(batcher)
        return system

    def close(self) -> None:
        for batcher in self.batchers:
            batcher.close()

    def generator(self, name: str, snapshot: str | None = None) -> RACM3:
        """The system with one of its generators, at an earlier state of its memory if asked."""
        if name not in self.systems:
            raise NotThere(f"this system has no generator {name!r}, only {', '.join(self.systems)}")
        if snapshot in (None, self.system.snapshot) or name != "racm3":
            return self.systems[name]
        kept = self.snapshots()
        if snapshot not in kept:
            raise NotThere(f"the memory {snapshot!r} is not kept; it is {self.system.snapshot} now")
        return self.at(kept[snapshot])

    @property
    def store(self) -> MemoryStore:
        shelf = self.system.parts.shelf
        if not isinstance(shelf, MemoryStore):
            raise ReadOnly(
                "this memory cannot be changed; start the server with --memory and a folder made "
                "by `racm3 memory build`"
            )
        return shelf

    def snapshots(self) -> dict[str, int]:
        """The states of the memory that can still be looked at, by name, the newest last."""
        shelf = self.system.parts.shelf
        if not isinstance(shelf, MemoryStore):
            return {}
        return {f"{shelf.path.name}@{number}": number for number in shelf.snapshots()}

    def at(self, snapshot: int | None) -> RACM3:
        """The system with an earlier state of its memory; None is the newest."""
        if snapshot is None or snapshot == self.store.snapshot:
            return self.system
        with self.changing:
            if snapshot not in self.earlier:
                shelf = MemoryStore.open(self.store.path, snapshot=snapshot)
                self.earlier[snapshot] = self.system.remembering(shelf)
            # Lately looked at comes last; a removal empties this, since it ends what it is about.
            self.earlier[snapshot] = self.earlier.pop(snapshot)
            for old in list(self.earlier)[:-LOOKED_AT]:
                del self.earlier[old]
            return self.earlier[snapshot]

    def search(
        self, query: Document, count: int, where: str | None, system: RACM3 | None = None
    ) -> list[Consulted]:
        """The nearest documents in the memory of `system`, or the newest, near-copies included."""
        system = system or self.system
        retriever = system.library.retriever(where)
        (found,) = retriever.neighbours(
            [query.require_parts()], count, rng=dice(0), near_copies=True
        )
        documents = system.parts.shelf.documents([one.id for one in found])
        return [
            Consulted(one.id, one.score, document)
            for one, document in zip(found, documents, strict=True)
        ]

    def document(self, id_: int, snapshot: int | None = None) -> Document:
        try:
            return self.at(snapshot).parts.shelf.documents([id_])[0]
        except (MemoryStoreError, IndexError, OverflowError) as error:
            raise NotThere(f"there is no document {id_} in this memory") from error

    def add(self, entries: Sequence[Entry], watch: Watch | None = None) -> list[int]:
        """Encode and remember; the very next answer can consult them.

        The watcher is told how many are encoded. It may raise to stop: then nothing was added.
        """
        store, encoder, vectors = self.store, self.system.encoder, []
        require_alike(store.about, encoder)
        for start in range(0, len(entries), FEW):
            if watch:
                watch([[start]])
            some = entries[start : start + FEW]
            documents, metadata = zip(*((one.document, one.metadata) for one in some), strict=True)
            vectors.append(embed_memory(encoder, documents, metadata))
        with self.changing:
            ids = store.add(entries, np.concatenate(vectors))
            self.refresh()
        return ids

    def remove(self, ids: Sequence[int]) -> None:
        store = self.store
        with self.changing:
            for id_ in ids:
                self.document(id_)
            remove_documents(store, list(ids))
            self.refresh()

    def refresh(self) -> None:
        self.earlier.clear()
        for system in self.systems.values():
            system.library.refresh()


def changeable(system: RACM3) -> RACM3:
    """The same system with a copy of its memory that can be changed, gone when the process ends."""
    shelf, known = system.parts.shelf, system.encoder
    folder = Path(tempfile.mkdtemp(prefix="racm3-memory-"))
    store = MemoryStore.create(
        folder / "memory", encoder=known.name, dim=known.dim, sides=known.sides
    )
    columns = {name: shelf.texts(column=name) for name in system.parts.retriever.metadata}
    told = {name: said for name, said in columns.items() if said}
    for block in shelf.blocks():
        for start in range(0, len(block.ids), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            documents = shelf.documents(block.ids[some].tolist())
            entries = [
                Entry(document, "sample", {name: said[id_] for name, said in told.items()})
                for id_, document in zip(block.ids[some].tolist(), documents, strict=True)
            ]
            store.add(entries, block.vectors[some])
    system.parts.shelf = store
    system.library.refresh()
    import atexit

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return system
