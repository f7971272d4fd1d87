"""What the rest of a picture is read with: what was found is ordered by how well it explains it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from racm3.document import Document, Image
from racm3.generation.ranking import best_first
from racm3.generation.tasks import AT_ONCE, draw_task
from racm3.retrieval.query import mirrored
from racm3.system.results import Consulted, Settings
from racm3.system.voice import Voice, Watch
from racm3.tokens.codec import Segment


class Rest(NamedTuple):
    """A picture without its masked cells: what they might show stands in `guess`, which asks."""

    guess: Image
    picture: Segment
    mask: Bool[np.ndarray, "rows columns"]

    @classmethod
    def of(
        cls,
        picture: Image,
        gone: Bool[np.ndarray, "height width"],
        whole: Segment,
        mask: Bool[np.ndarray, "rows columns"],
    ) -> "Rest":
        """Of a picture, whose pixels and cells are masked."""
        return cls(mirrored(picture, gone), whole, mask)

    def consulted(
        self,
        consult: Callable[[Document, Settings], tuple[Consulted, ...]],
        voice: Voice,
        settings: Settings,
        watch: Watch | None,
    ) -> tuple[Consulted, ...]:
        """What is read before the masked cells are drawn: in the order of `explaining` where
        `settings.rerank` says so, else in the retriever's."""
        query = Document.of(self.guess)
        if settings.rerank < 2 or not settings.most:
            return consult(query, settings)
        many = max(settings.most, settings.rerank)
        found = consult(query, replace(settings, documents=many, least=None))
        read = AT_ONCE if settings.documents == "each" else settings.most
        return explaining(voice, self, found, watch)[:read]


def explaining(
    voice: Voice, rest: Rest, found: Sequence[Consulted], watch: Watch | None
) -> tuple[Consulted, ...]:
    """The found documents by how likely the known codes of a picture are after each of them, best
    first, without those after which they are less likely than after none.

    Passages are reranked so by how likely they make the question (Sachan et al. 2022). The codes of
    the guess are read in the place of the others and do not count.
    """
    masked = rest.mask.ravel()
    codes = np.where(masked, voice.segment(rest.guess).ids, rest.picture.ids).tolist()
    task = draw_task(None, len(codes), voice.codec.vocabulary)

    def explained(*read: Consulted) -> float:
        (scores,) = voice.scores(task, read, [codes], watch)
        return float(scores.numpy()[~masked].sum())

    gains = np.array([explained(one) for one in found]) - explained()
    return tuple(found[i] for i in best_first(gains.tolist()) if gains[i] > 0)
