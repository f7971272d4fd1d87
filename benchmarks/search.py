"""Exact search against `faiss.IndexFlatIP`, and the whole retriever against the search alone.

python benchmarks/search.py
"""

import faiss
import numpy as np
from common import arguments, seconds, show, sizes

from racm3.document import Document
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import AVERAGE, unit
from racm3.retrieval.index import ExactIndex
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice

DIM, QUERIES = 512, 32


class Stored:
    """An encoder that hands out vectors made beforehand, so that only searching is timed."""

    name, dim, sides = "stored", DIM, AVERAGE

    def __init__(self, queries: np.ndarray) -> None:
        self.queries = queries

    def texts(self, texts, dropout=None):
        return self.queries[: len(texts)]

    def images(self, pictures, dropout=None):
        return np.zeros((0, DIM), dtype=np.float32)


def main() -> None:
    chosen = arguments("milliseconds a query", largest=1_000_000, repeats=5)
    faiss.omp_set_num_threads(chosen.threads)
    rng = np.random.default_rng(0)
    queries = unit(rng.normal(size=(QUERIES, DIM)))
    show([measure(size, queries, rng, chosen) for size in sizes(chosen.largest)], chosen)


def measure(size, queries, rng, chosen) -> dict[str, object]:
    vectors = rng.standard_normal((size, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ours = ExactIndex.of(np.arange(size), vectors)
    theirs = faiss.IndexFlatIP(DIM)
    theirs.add(vectors)
    shelf = ListShelf([Document.of("x")] * size, vectors)
    retriever = Retriever(Stored(queries), shelf, RetrieverConfig())
    asked = [Document.of("words")] * QUERIES

    def whole() -> None:
        for found in retriever.neighbours(asked, 2, rng=dice(0)):
            retriever.fetch(found)

    runs = {
        "ours": lambda: ours.search(queries, 64),
        "faiss": lambda: theirs.search(queries, 64),
        "retriever": whole,
    }
    taken = seconds(runs, repeats=chosen.repeats)
    each = {name: 1000 * value / QUERIES for name, value in taken.items()}
    return {
        "documents": f"{size:,}",
        "ours, ms": round(each["ours"], 3),
        "faiss, ms": round(each["faiss"], 3),
        "faiss / ours": round(each["faiss"] / each["ours"], 2),
        "whole retriever, ms": round(each["retriever"], 3),
        "retriever / search": round(each["retriever"] / each["ours"], 2),
    }


if __name__ == "__main__":
    main()
