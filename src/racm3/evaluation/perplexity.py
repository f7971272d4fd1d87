"""Image and text perplexity of documents, with retrieved ones in front (RA-CM3 Table 2, 3, 5)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from racm3.document import Document
from racm3.generation.tasks import passes
from racm3.retrieval.query import ask
from racm3.retrieval.retriever import Retriever
from racm3.runtime import dice
from racm3.system.voice import Voice
from racm3.tokens.codec import Kind, Segments, flatten
from racm3.tokens.context import preamble

Neighbours = Literal["retrieved", "random"]


class Losses(NamedTuple):
    """Summed negative log-likelihood (nats) and number of ids of each document."""

    losses: Float[np.ndarray, " docs"]
    counts: Float[np.ndarray, " docs"]


def document_losses(
    voice: Voice,
    documents: Sequence[Document],
    shown: Sequence[Sequence[Document]],
    kind: Kind,
    *,
    hidden: bool = False,
) -> Losses:
    """Losses of the ids of one kind in the main documents, the shown ones read before them.

    More than two documents are read two at a time and the probabilities of the passes averaged
    (RA-CM3 §A), as generation does. With `hidden` none of these ids is read, all are predicted:
    what has been said of a picture then does not tell which document the rest is of.
    """
    vocabulary = voice.codec.vocabulary
    losses, counts = [], []
    for document, before in zip(documents, shown, strict=True):
        ids = flatten(main := voice.codec.encode([document])[0], vocabulary)
        groups, wanted = passes(voice.read(before)), _places(main, kind)
        read = [*ids]
        for place in wanted if hidden else []:
            read[place] = vocabulary.pad
        scores = torch.stack(
            [voice.speaker.score(preamble(g, vocabulary), ids, read=read) for g in groups]
        )
        mixed = (scores.double().logsumexp(dim=0) - np.log(len(groups))).numpy()
        losses.append(-float(mixed[wanted].sum()))
        counts.append(float(len(wanted)))
    return Losses(np.array(losses), np.array(counts))


def _places(segments: Segments, kind: Kind) -> list[int]:
    places, at = list[int](), 0
    for segment in segments:
        if segment.kind is kind:
            places += range(at, at + len(segment.ids))
        at += len(segment.ids) + 1
    return places


def look_up(
    retriever: Retriever,
    documents: Sequence[Document],
    kind: Kind,
    count: int,
    *,
    neighbours: Neighbours = "retrieved",
    seed: int = 0,
) -> list[list[Document]]:
    """What each document is allowed to see: found by the side that is not being predicted."""
    if not count:
        return [[] for _ in documents]
    if neighbours == "random":
        rng, ids = dice(seed, 5), retriever.ids
        picks = [rng.choice(ids, count, replace=False).tolist() for _ in documents]
        return [retriever.shelf.documents(some) for some in picks]
    side: Literal["text", "image"] = "text" if kind is Kind.IMAGE else "image"
    queries = [ask(document, side) for document in documents]
    found = retriever.neighbours(queries, count, rng=dice(seed, 6))
    return [retriever.fetch(some) for some in found]
