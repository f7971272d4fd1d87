"""A memory on disk: all vectors looked at, from RAM and from disk, against its index.

python benchmarks/indexed.py

Vectors lie in clusters, as those of documents do; queries are near to some of them.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import arguments, seconds, show, sizes

from racm3.document import Document
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.disk import found_share
from racm3.retrieval.embedding import unit
from racm3.retrieval.index import Block, ExactIndex
from racm3.retrieval.memory import Entry, MemoryStore

DIM, QUERIES, CLUSTERS, SPREAD = 128, 16, 1000, 0.06


def main() -> None:
    chosen = arguments("milliseconds a query", largest=100_000, repeats=5)
    show([measure(size, chosen) for size in sizes(chosen.largest)], chosen)


def measure(size, chosen) -> dict[str, object]:
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(CLUSTERS, DIM)))
    vectors = unit(
        centres[rng.integers(CLUSTERS, size=size)] + SPREAD * rng.normal(size=(size, DIM))
    )
    queries = unit(vectors[:QUERIES] + SPREAD * rng.normal(size=(QUERIES, DIM)))
    with TemporaryDirectory() as folder:
        store = MemoryStore.create(Path(folder) / "m", encoder="none", dim=DIM)
        words = (Entry(Document.of(f"word{i}"), source=str(i)) for i in range(size))
        fill_memory(store, words, vectors=vectors.astype(np.float32))
        began = time.perf_counter()
        store.index()
        built = time.perf_counter() - began
        table, index = store.table(), store.vector_index(probes=32, refine=10)
        resident = ExactIndex.of(table.ids, table.vectors)
        on_disk = ExactIndex(lambda: (Block(b.ids, b.vectors) for b in store.blocks()))
        ways = {"RAM": resident, "disk": on_disk, "index": index}
        runs = {
            name: lambda way=way: [way.search(one[None], 64) for one in queries]
            for name, way in ways.items()
        }
        taken = seconds(runs, repeats=chosen.repeats)
        found = found_share(store, probes=32, refine=10, candidates=64)
    each = {name: 1000 * value / QUERIES for name, value in taken.items()}
    return {
        "documents": f"{size:,}",
        "all from RAM, ms": round(each["RAM"], 2),
        "all from disk, ms": round(each["disk"], 2),
        "index, ms": round(each["index"], 2),
        "disk / index": round(each["disk"] / each["index"], 2),
        "of the 10 nearest": f"{found:.1%}",
        "indexing, s": round(built, 1),
    }


if __name__ == "__main__":
    main()
