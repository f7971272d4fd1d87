"""Verbs that make, change and check an external memory."""

import json as json_
from pathlib import Path
from typing import Literal

import numpy as np

from racm3.data.ahead import Tolerance
from racm3.data.sources import find_source, require
from racm3.errors import MemoryStoreError, SourceError
from racm3.recipes.remembering import fill_memory, remove_documents
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.disk import found_share
from racm3.retrieval.embedding import AVERAGE
from racm3.retrieval.exchange import export_memory, restore_memory
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.siglip import Dual, open_dual
from racm3.runtime import device, load_json, progress, save_json
from racm3.system.parts import sample_folder

Precision = Literal["fp32", "bf16", "auto"]


def open_encoder(clip: str) -> Dual:
    where = sample_folder() / "clip" if clip == "sample" else clip
    return open_dual(where, device=device("auto"))


def build(
    memory: Path,
    source: Path,
    *,
    clip: str = "sample",
    vectors: Path | None = None,
    tolerate: int = 0,
    precision: Precision = "fp32",
) -> None:
    """Make a memory from a folder, COCO JSON, .jsonl/.csv, img2dataset tar shards or Parquet.

    A picture's caption stands beside it (name.jpg, name.txt) or in it (IPTC). Also of a folder of
    Markdown or HTML pages (interleaved documents), of a folder that `datasets` saved, or of
    hub:NAME@SPLIT, which it streams. Stopped at any time, the same command goes on where it was.

    Args:
        memory: The folder to make.
        source: Where the documents are.
        clip: `sample`, a CLIP folder, or a hub name; it encodes the documents.
        vectors: A .npy file with one vector for every document, instead of encoding them.
        tolerate: How many unreadable documents to accept; they are listed either way.
        precision: How the CLIP multiplies: fp32; bf16, whose vectors are nearly the same and come
            sooner where the hardware multiplies it; or auto, which is bf16 there.
    """
    began = memory / "building.json"
    this = {"source": str(source.resolve())}
    if (memory / "about.json").exists() and not (began.exists() and load_json(began) == this):
        raise MemoryStoreError(f"there is a memory at {memory} already; use `racm3 memory add`")
    require(source)
    save_json(began, this)
    _fill(memory, source, clip, vectors, tolerate, precision)
    began.unlink()


def add(
    memory: Path,
    source: Path,
    *,
    clip: str = "sample",
    vectors: Path | None = None,
    tolerate: int = 0,
    precision: Precision = "fp32",
    again: bool = False,
) -> None:
    """Add documents to a memory; sources that are there already are skipped.

    So are those that were removed.

    Args:
        memory: The memory's folder.
        source: Where the documents are.
        clip: The CLIP that the memory was built with.
        vectors: A .npy file with one vector for every document, instead of encoding them.
        tolerate: How many unreadable documents to accept.
        precision: How the CLIP multiplies: fp32, bf16 or auto, as in `racm3 memory build`.
        again: Add what was removed, too.
    """
    MemoryStore.open(memory)
    _fill(memory, source, clip, vectors, tolerate, precision, again=again)


def _fill(
    memory: Path,
    source: Path,
    clip: str,
    vectors: Path | None,
    tolerate: int,
    precision: str,
    *,
    again: bool = False,
) -> None:
    tolerance = Tolerance(tolerate)
    if vectors and tolerate:
        raise SourceError(
            "--vectors cannot be used with --tolerate: behind an unreadable document every vector "
            "would belong to another one; mend the source first"
        )
    if vectors and precision != "fp32":
        raise SourceError(
            f"--precision {precision} says how a CLIP multiplies, and with --vectors none does; "
            "leave one of them away"
        )
    require(source)
    own = _read_vectors(vectors) if vectors else None
    encoder = None if own is not None else open_encoder(clip)
    if not (memory / "about.json").exists():
        name = encoder.name if encoder else str(vectors)
        dim = encoder.dim if encoder else (own.shape[1] if own is not None else 0)
        sides = encoder.sides if encoder else AVERAGE
        store = MemoryStore.create(memory, encoder=name, dim=dim, sides=sides)
    else:
        store = MemoryStore.open(memory)
    found = progress(find_source(source), label="documents")
    filled = fill_memory(
        store, found, encoder, vectors=own, again=again, tolerance=tolerance, precision=precision
    )
    for problem in tolerance.problems:
        print(f"unreadable\t{problem}")
    print(
        f"{filled.added} documents added, {filled.already_there} were there already, "
        f"{len(tolerance.problems)} unreadable; {memory} holds {len(store)} at snapshot "
        f"{store.snapshot}"
    )
    if filled.stay_removed:
        print(f"{filled.stay_removed} were removed once and stay so; --again adds them")


def _read_vectors(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as a .npy array ({error})") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f":
        raise SourceError(f"{path} must hold one row of floating-point numbers for every document")
    return found.astype(np.float32)


def remove(memory: Path, *, ids: list[int] | None = None, where: str | None = None) -> None:
    """Remove documents for good: rows, bytes, vectors, neighbour lists, and earlier snapshots.

    Args:
        memory: The memory's folder.
        ids: Which documents, by id.
        where: Or all that pass a filter, e.g. "licence = 'unknown'".
    """
    store = MemoryStore.open(memory)
    if (ids is None) == (where is None):
        raise MemoryStoreError("say which documents to remove: either --ids or --where")
    chosen = store.ids(where).tolist() if where else list(ids or [])
    if missing := sorted(set(chosen) - set(store.ids().tolist())):
        raise MemoryStoreError(f"there is no document {missing[0]} in the memory {memory}")
    print(f"{remove_documents(store, chosen)} documents removed; {memory} holds {len(store)}")


def index(
    memory: Path,
    *,
    partitions: int | None = None,
    code_bytes: int | None = None,
    stems: bool = True,
    columns: list[str] | None = None,
    json: bool = False,
) -> None:
    """Index a large memory, which `--search indexed` then answers from without reading all of it.

    Vectors and words are indexed on disk, whatever their number. Documents that are added later are
    found, too, only less quickly: run it again when there are many. Says how many of the nearest
    documents are found. (`memory search` and `assemble` say `--retriever.search indexed`.)

    Args:
        memory: The memory's folder.
        partitions: How many parts the vectors fall into; the root of their number by default.
        code_bytes: Bytes of a compressed vector; one for eight numbers by default.
        stems: Words are compared by their English stems: `dogs` find `a dog`.
        columns: Metadata whose words find documents, too: a catalogue's keywords, say.
        json: Print JSON.
    """
    store, usual = MemoryStore.open(memory), RetrieverConfig()
    store.index(partitions=partitions, code_bytes=code_bytes, stems=stems, columns=columns or [])
    asked = {"probes": usual.probes, "refine": usual.refine, "candidates": usual.candidates}
    found = found_share(store, **asked)
    if json:
        print(json_.dumps({"documents": len(store), "snapshot": store.snapshot, "found": found}))
    else:
        print(
            f"{len(store)} documents indexed; of the 10 nearest to some of them {found:.1%} are "
            f"among the {usual.candidates} that are found with probes {usual.probes} and refine "
            f"{usual.refine}; larger numbers find more, and take longer"
        )


def verify(memory: Path) -> None:
    """Read everything once and list what is wrong; exit status 1 if anything is.

    Args:
        memory: The memory's folder.
    """
    store = MemoryStore.open(memory)
    problems = store.verify()
    for problem in problems:
        print(problem)
    if problems:
        raise MemoryStoreError(f"{len(problems)} problems in {memory}")
    print(f"{len(store)} documents, nothing wrong")


def export(memory: Path, out: Path) -> None:
    """Write a whole memory as one Parquet file: documents, bytes, metadata, vectors and ids, and
    digests of the sources that were removed, so that these stay away from what is restored.

    Args:
        memory: The memory's folder.
        out: The file to write.
    """
    count = export_memory(MemoryStore.open(memory), out)
    print(f"{count} documents written to {out}")


def restore(memory: Path, source: Path) -> None:
    """Make a memory of what `racm3 memory export` wrote, nothing encoded again.

    Args:
        memory: The folder to make.
        source: The Parquet file.
    """
    store = restore_memory(source, memory)
    print(f"{memory} holds {len(store)} documents at snapshot {store.snapshot}")
