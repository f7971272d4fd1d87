"""Documents to learn from, each beside the memory that its neighbours are found in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from racm3.data.prepare import Prepared, prepare
from racm3.data.sample_world import corpus
from racm3.data.sample_world.fictional import fictional_things
from racm3.data.sample_world.things import seen_things
from racm3.document import Document
from racm3.retrieval.encoder import Encoder
from racm3.retrieval.retriever import Retriever, RetrieverConfig
from racm3.retrieval.shelf import ListShelf
from racm3.tokens.codec import Codec


@dataclass(frozen=True)
class Lessons:
    """What a generator learns from.

    Args:
        documents: The documents.
        memory: What their neighbours are found in.
        groups: What each document must not neighbour; none where nothing is forbidden.
        by_words: Look neighbours up by words, however the run asks: no encoder has met these names.
    """

    documents: Sequence[Document]
    memory: ListShelf
    groups: Sequence[frozenset[str]] | None = None
    by_words: bool = False


def seen(count: int, memory: ListShelf) -> Lessons:
    """Scenes of the sample world's seen things beside the memory of these."""
    return Lessons(corpus.lessons(seen_things(), count), memory)


def fictional(count: int, number: int, dim: int) -> Lessons:
    """Scenes of `number` fictional things beside theirs.

    A made-up name means nothing to a frozen CLIP, so these are looked up by their words.
    """
    made_up = fictional_things(seen_things(), number)
    shelf = ListShelf([thing.document() for thing in made_up], np.zeros((number, dim), np.float32))
    return Lessons(corpus.lessons(made_up, count, seed=2), shelf, by_words=True)


def prepare_lessons(
    codec: Codec,
    encoder: Encoder,
    lessons: Sequence[Lessons],
    config: RetrieverConfig,
    *,
    draws: int,
    depth: int = 2,
) -> Prepared:
    """All of them as one training material."""
    by_words = replace(config, strategy="bm25", query="text")
    return reduce(
        add,
        (
            prepare(
                codec,
                some.documents,
                Retriever(encoder, some.memory, by_words if some.by_words else config),
                groups=some.groups,
                draws=draws,
                depth=depth,
            )
            for some in lessons
        ),
    )
