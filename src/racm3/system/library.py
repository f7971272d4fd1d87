"""What is read before answering: looked up in the memory, or handed in."""

from collections.abc import Collection, Sequence
from functools import partial
from threading import Lock
from typing import TypeVar

import numpy as np

from racm3.document import Document, Image
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.query import asks_nothing
from racm3.retrieval.retriever import Neighbour, Retriever
from racm3.runtime import dice
from racm3.system.parts import Parts
from racm3.system.results import Consulted, Settings
from racm3.system.surroundings import Others, Part

# Each filter has its documents' vectors in RAM.
MOST_FILTERS = 8
Scored = TypeVar("Scored", Neighbour, Consulted)


class Library:
    """The memory as answering sees it; retrievers are kept by filter until told otherwise."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._retrievers: dict[str | None, Retriever] = {}
        self._lock = Lock()

    @property
    def snapshot(self) -> str:
        return self.parts.shelf.snapshot_name

    def retriever(self, where: str | None = None) -> Retriever:
        """For a filter; of those that were asked for, a few are kept."""
        kept = self._retrievers
        if (found := kept.get(where)) is not None:
            return found
        made = Retriever(self.parts.encoder, self.parts.shelf, self.parts.retriever, where=where)
        with self._lock:
            oldest = [one for one in kept if one is not None]
            for one in oldest[: max(0, len(oldest) - MOST_FILTERS + 1)]:
                del kept[one]
            kept[where] = made
        return made

    def refresh(self) -> None:
        """Look at the memory again: call it after documents were added or removed."""
        self._retrievers = {}  # a new one: what is being made for the old one stays there

    def rephrased(self, caption: str, settings: Settings, *, redrawn: Part | None = None) -> str:
        """A caption in the words that the generators were taught with, where the system knows other
        ones than were typed; of a whole picture, or of a part that is `redrawn`."""
        if settings.as_typed or not self.parts.rephrasing:
            return caption
        rephrasing, retriever = self.parts.rephrasing, self.retriever(settings.where)
        text = rephrasing.cleared(caption)

        def known(thing: str) -> str:
            (found,) = retriever.neighbours([Document.of(thing)], 1, rng=dice(settings.seed, 1))
            return "".join(one.text for one in retriever.fetch(found))

        query = Document.of(text)
        asks = not retriever.empty and not asks_nothing(query, self.parts.retriever.unasked)
        things = [one.text for one in retriever.things(query)] if asks else []
        if redrawn and len(things) == 1 and (ways := rephrasing.surroundings.others(text, redrawn)):
            own = rephrasing.noun(things[0], partial(known, things[0]))
            if own and (said := self._beside(ways, own, settings)):
                return said
        return rephrasing.of(text, things, known, redrawn=redrawn)

    def _beside(self, ways: Sequence[Others], own: str, settings: Settings) -> str:
        """What is said of a whole picture of which a part is to show something: by the likeliest
        way to look at the others, if each of them is what the memory knows; else ""."""
        surroundings, retriever = self.parts.rephrasing.surroundings, self.retriever(settings.where)
        queries = [Document.of(one) for way in ways for one in way.seen]
        found = iter(retriever.neighbours(queries, 1, rng=dice(settings.seed, 1)))
        read = [(way, [one for _ in way.seen for one in next(found)]) for way in ways]
        known = [one for one in read if len(one[1]) == len(one[0].seen)]
        least = [min(one.score for one in some) for _, some in known]
        best = int(np.argmax(least)) if known else -1
        if best < 0 or least[best] < surroundings.sure:
            return ""
        way, some = known[best]
        titles = [document.text.partition("(")[0].strip() for document in retriever.fetch(some)]
        nouns = [surroundings.noun(title) for title in titles]
        return way.said.format(*nouns[: way.own], own, *nouns[way.own :])

    def consult(
        self, query: Document, settings: Settings, leave_out: Collection[int] = ()
    ) -> tuple[Consulted, ...]:
        """The nearest documents that pass the filter and are near enough, best first; none for a
        query of nothing but what no document is to be found by (`unasked`)."""
        if asks_nothing(query, self.parts.retriever.unasked):
            return ()
        retriever = self.retriever(settings.where)
        if not settings.most or retriever.empty:
            return ()
        (found,) = retriever.neighbours(
            [query],
            settings.most,
            rng=dice(settings.seed, 1),
            each=settings.documents == "each",
            leave_out=leave_out,
        )
        found = near_enough(found, query, settings, retriever.config)
        documents = retriever.fetch(found)
        shares = retriever.share_words(query, [one.id for one in found])
        return tuple(
            Consulted(neighbour.id, neighbour.score, document, words)
            for neighbour, document, words in zip(found, documents, shares, strict=True)
        )


def near_enough(
    found: Sequence[Scored], query: Document, settings: Settings, config: RetrieverConfig
) -> list[Scored]:
    """Without what scores too little by the encoder; what words were searched for stays."""
    worded = config.strategy == "bm25" or (config.strategy == "hybrid" and query.text.strip())
    if settings.least is None or worded:
        return list(found)
    return [one for one in found if one.score is None or one.score >= settings.least]


def given(documents: Sequence[Document | Image | Consulted]) -> tuple[Consulted, ...]:
    """Documents that the user chose, to be read instead of any that would be found."""
    return tuple(_given(one) for one in documents)


def _given(one: Document | Image | Consulted) -> Consulted:
    if isinstance(one, Consulted):
        return one
    document = Document.of(one) if isinstance(one, Image) else one
    return Consulted(None, None, document.require_parts())
