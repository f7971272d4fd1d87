"""The external memory on disk: a LanceDB table of documents, their bytes and their vectors."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from racm3.document import Document
from racm3.errors import CheckpointError, MemoryStoreError
from racm3.retrieval import disk, history
from racm3.retrieval.disk import DiskIndex, DiskWords
from racm3.retrieval.embedding import AVERAGE, Sides
from racm3.retrieval.entry import (
    OWN_COLUMNS,
    Entry,
    check_names,
    check_vectors,
    entry_of,
    matrix,
    problems,
    rows_of,
    schema,
)
from racm3.retrieval.notes import Notes
from racm3.retrieval.shelf import Table, joined
from racm3.runtime import at_once, load_json, save_json

if TYPE_CHECKING:
    import pyarrow

TABLE, FORMAT = "documents", 1


class MemoryStore:
    """Ids are 64-bit, given once and never again; every change is a new snapshot."""

    def __init__(self, path: Path, about: dict[str, Any], table: Any, *, pinned: bool) -> None:
        self.path, self.about, self._table, self.pinned = path, about, table, pinned
        self.notes = Notes(path)

    @classmethod
    def create(
        cls, path: str | Path, *, encoder: str, dim: int, sides: Sides = AVERAGE
    ) -> "MemoryStore":
        path = Path(path)
        if (path / "about.json").exists():
            raise MemoryStoreError(
                f"there is a memory at {path} already; use `add`, or choose another folder"
            )
        path.mkdir(parents=True, exist_ok=True)
        about = {
            "format": FORMAT,
            "encoder": encoder,
            "dim": dim,
            "next_id": 0,
            "sides": asdict(sides),
        }
        table = _connect(path).create_table(TABLE, schema=schema(dim), exist_ok=True)
        save_json(path / "about.json", about)
        return cls(path, about, table, pinned=False)

    @classmethod
    def open(cls, path: str | Path, *, snapshot: int | None = None) -> "MemoryStore":
        """The newest state, or a read-only look at an earlier snapshot."""
        path = Path(path)
        try:
            about = load_json(path / "about.json")
        except CheckpointError as error:
            raise MemoryStoreError(
                f"there is no memory at {path}; make one with `racm3 memory build`"
            ) from error
        if about.get("format") != FORMAT:
            raise MemoryStoreError(
                f"the memory at {path} has format {about.get('format')}; this racm3 reads {FORMAT}"
            )
        try:
            table = _connect(path).open_table(TABLE)
            if snapshot is not None:
                table.checkout(snapshot)
        except (ValueError, RuntimeError, OSError) as error:
            wanted = f"snapshot {snapshot}" if snapshot is not None else "the documents"
            raise MemoryStoreError(
                f"{wanted} of {path} cannot be opened ({error}); see `racm3 memory stats`"
            ) from error
        return cls(path, about, table, pinned=snapshot is not None)

    @property
    def snapshot(self) -> int:
        return int(self._table.version)

    def snapshots(self) -> list[int]:
        """The states that can still be opened, the newest last."""
        return [int(version["version"]) for version in self._table.list_versions()]

    @property
    def snapshot_name(self) -> str:
        return f"{self.path.name}@{self.snapshot}"

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def add(self, entries: Sequence[Entry], vectors: Float32[np.ndarray, "docs dim"]) -> list[int]:
        """All of the entries or none of them; their new ids."""
        import pyarrow as pa

        self._must_be_newest()
        dim, encoder = self.about["dim"], self.about["encoder"]
        check_vectors(vectors, count=len(entries), dim=dim, encoder=encoder)
        self._add_columns({key for entry in entries for key in entry.metadata})
        first = self._reserve(len(entries))
        rows = rows_of(entries, vectors, first)
        self._table.add(pa.Table.from_pylist(rows, schema=self._table.schema))
        return [row["id"] for row in rows]

    def _must_be_newest(self) -> None:
        if self.pinned:
            raise MemoryStoreError("this is an earlier snapshot, which is read-only")

    def _add_columns(self, keys: set[str]) -> None:
        check_names(keys)
        new = sorted(keys - set(self._table.schema.names))
        if new:
            self._table.add_columns({key: "cast(NULL as string)" for key in new})

    def _reserve(self, count: int) -> int:
        """Ids are promised on disk before they are used, so a crash can waste but not reuse."""
        first = int(load_json(self.path / "about.json")["next_id"])
        self.about = {**self.about, "next_id": first + count}
        save_json(self.path / "about.json", self.about)
        return first

    def remove(self, ids: Sequence[int]) -> int:
        """Delete documents for good: rows, bytes, vectors, and every snapshot that held them.

        Their sources are noted, so that filling from these again does not bring them back.
        """
        self._must_be_newest()
        before = len(self)
        if ids:
            self.notes.remember_removed(self.sources(_among(ids)))
            self._table.delete(_among(ids))
            history.forget(self._folder)
            self._table = _connect(self.path).open_table(TABLE)
        return before - len(self)

    def index(self, **how: Any) -> None:
        """Let vectors and words be found without looking at all of them, as `disk.build` does."""
        self._must_be_newest()
        disk.build(self._table, **how)

    def vector_index(self, where: str | None = None, *, probes: int, refine: int) -> DiskIndex:
        return DiskIndex(self._table, where, probes=probes, refine=refine)

    def word_index(self, where: str | None = None, columns: Sequence[str] = ()) -> DiskWords:
        return DiskWords(self._table, where, columns)

    @property
    def columns(self) -> list[str]:
        """What the metadata of its documents is called."""
        return [name for name in self._table.schema.names if name not in OWN_COLUMNS]

    def texts(self, where: str | None = None, column: str = "text") -> dict[int, str]:
        if column not in ("text", *self.columns):
            return {}
        batches = self._scan(["id", column], where)
        rows = (zip(b["id"].to_pylist(), b[column].to_pylist(), strict=True) for b in batches)
        return {id_: text or "" for some in rows for id_, text in some}

    def ids(self, where: str | None = None) -> Int64[np.ndarray, " docs"]:
        batches = [batch["id"].to_numpy() for batch in self._scan(["id"], where)]
        return np.sort(np.concatenate([np.zeros(0, np.int64), *batches]))

    def sources(self, where: str | None = None) -> Iterator[str]:
        for batch in self._scan(["source"], where):
            yield from batch["source"].to_pylist()

    def _scan(
        self, columns: list[str], where: str | None, *, rows: int = 65_536
    ) -> Iterator["pyarrow.RecordBatch"]:
        query = self._table.search().select(columns)
        if where is not None:
            query = query.where(where)
        try:
            yield from query.to_batches(rows)
        except (ValueError, RuntimeError) as error:
            known = [n for n in self._table.schema.names if n not in ("parts", "vector")]
            raise MemoryStoreError(
                f"the filter {where!r} cannot be used ({str(error).splitlines()[0]}); "
                f"write SQL over the columns {', '.join(known)}"
            ) from error

    def blocks(self, where: str | None = None) -> Iterator[Table]:
        """The documents that pass the filter, read from disk a block at a time."""
        for batch in self._scan(["id", "group", "vector"], where):
            yield self._table_of(batch)

    def rows(self, ids: Sequence[int]) -> Table:
        columns = ["id", "group", "vector"]
        found = [self._table_of(batch) for batch in self._scan(columns, _among(ids))]
        return joined(found, self.about["dim"])

    def _table_of(self, batch: "pyarrow.RecordBatch") -> Table:
        vectors = matrix(batch["vector"], self.about["dim"])
        return Table(batch["id"].to_numpy(), batch["group"].to_pylist(), vectors)

    def table(self, where: str | None = None) -> Table:
        """All blocks together, by ascending id."""
        return joined(self.blocks(where), self.about["dim"])

    def entries(self, ids: Sequence[int]) -> list[Entry]:
        """In the order asked for; an id that is not (or no longer) there is named."""
        extra = self.columns
        found: dict[int, Entry] = {}
        for start in range(0, len(ids), 1000):
            some = _among(ids[start : start + 1000])
            for batch in self._scan(["id", "group", "source", "parts", *extra], some):
                rows = batch.to_pylist()
                made = at_once(lambda row: entry_of(row, extra), rows)
                found.update(zip((row["id"] for row in rows), made, strict=True))
        missing = [i for i in ids if i not in found]
        if missing:
            raise MemoryStoreError(f"there is no document {missing[0]} in the memory {self.path}")
        return [found[i] for i in ids]

    def documents(self, ids: Sequence[int]) -> list[Document]:
        return [entry.document for entry in self.entries(ids)]

    def batches(self) -> Iterator["pyarrow.RecordBatch"]:
        """Every row with every column, as it is stored, by ascending id."""
        stored = self._table.to_lance()
        order = np.argsort(stored.to_table(columns=["id"])["id"].to_numpy(), kind="stable")
        for start in range(0, len(order), 256):
            some = stored.take(order[start : start + 256].tolist())
            yield from some.combine_chunks().to_batches()

    def append(
        self, batches: Iterable["pyarrow.RecordBatch"], columns: Sequence[str], *, next_id: int
    ) -> None:
        """Rows that another memory wrote, ids included: all of them or none."""
        import pyarrow as pa

        self._add_columns(set(columns) - set(OWN_COLUMNS))
        self.about = {**self.about, "next_id": next_id}
        save_json(self.path / "about.json", self.about)
        schema = self._table.schema
        rows = (
            pa.RecordBatch.from_arrays([one.column(name) for name in schema.names], schema=schema)
            for one in batches
        )
        self._table.add(pa.RecordBatchReader.from_batches(schema, rows))

    def stats(self) -> dict[str, Any]:
        files = [path for path in self.path.rglob("*") if path.is_file()]
        return {
            "documents": len(self),
            "groups": len({g for b in self._scan(["group"], None) for g in b["group"].to_pylist()}),
            "encoder": self.about["encoder"],
            "dim": self.about["dim"],
            "snapshot": self.snapshot,
            "snapshots": self.snapshots(),
            "next_id": self.about["next_id"],
            "columns": self.columns,
            "bytes": sum(path.stat().st_size for path in files),
        }

    def verify(self) -> list[str]:
        """Everything that is wrong, as sentences; an empty list is a clean memory."""
        columns = ["id", "group", "source", "parts", "vector"]
        batches = self._scan(columns, None, rows=1024)
        found = problems(batches, dim=self.about["dim"], next_id=self.about["next_id"])
        return found + history.remains(self._folder)

    @property
    def _folder(self) -> Path:
        return self.path / f"{TABLE}.lance"


def _among(ids: Sequence[int]) -> str:
    return f"id IN ({','.join(str(int(i)) for i in ids)})" if len(ids) else "false"


def _connect(path: Path) -> Any:
    os.environ.setdefault("LANCEDB_LOG", "error")  # else it warns of every empty partition
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lancedb

        return lancedb.connect(str(path))


__all__ = ["Entry", "MemoryStore"]
