"""What fills a gap in a text, and where it ends."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from racm3.document import Image
from racm3.errors import GenerationError
from racm3.generation.ranking import best_first, text_score
from racm3.generation.tasks import caption_task, text_infill_task, text_task
from racm3.system.results import Consulted, Settings, Trace
from racm3.system.voice import LONGEST_PROMPT, LONGEST_TEXT, Voice, Watch
from racm3.tokens.codec import Kind, Segment

GAP = "___"
# A filling may end after each of so many ids, or where it was said to.
ENDS = 16


class Gap(NamedTuple):
    """A text in which words miss; whether they are to begin with a space is said beside it, since
    a word's space is said with it, as everywhere."""

    before: str
    after: str
    spaced: bool

    @classmethod
    def of(cls, text: str) -> "Gap":
        """
        Raises:
            GenerationError: There is no gap, or more than one, or no end to the text.
        """
        if text.count(GAP) != 1:
            raise GenerationError(
                f"the text has {text.count(GAP)} gaps; write {GAP} exactly once where words miss"
            )
        if len(text) > LONGEST_PROMPT:
            raise GenerationError(
                f"the text has {len(text):,} characters; at most {LONGEST_PROMPT:,} are read"
            )
        before, after = text.split(GAP)
        return cls(before.rstrip(" "), after, before.endswith(" "))

    @property
    def known(self) -> str:
        """What is said without the gap."""
        return " ".join((self.before + self.after).split())

    def around(self, words: str) -> str:
        """The whole text with these words in the gap."""
        space = " " if self.spaced and not words.startswith(" ") else ""
        return self.before + space + words + self.after


class Fillings(NamedTuple):
    """Whole texts, best first, each with its perplexity."""

    texts: tuple[str, ...]
    perplexities: tuple[float, ...]
    trace: Trace


def fillings(
    voice: Voice,
    gap: Gap,
    picture: Image | None,
    consulted: Sequence[Consulted],
    settings: Settings,
    watch: Watch | None,
) -> Fillings:
    """The likeliest whole texts among those whose gap holds what is said, or how that begins.

    Both are asked: what is missing between the two ends (CM3's infilling), and how a text goes on
    that begins so. Training shows few gaps in texts, so where one ends is hardly learnt, while how
    likely a whole text is has been learnt from every document (docs/log.md).
    """
    vocabulary = voice.codec.vocabulary
    head, tail = voice.ids(gap.before), voice.ids(gap.after, follows=True)
    text, shown = Segment(Kind.TEXT, (*head, *tail)), voice.segment(picture) if picture else None
    if shown:
        whole, end = caption_task(shown, vocabulary, longest=LONGEST_TEXT), vocabulary.eoss
    else:
        whole, end = text_task(vocabulary, longest=LONGEST_TEXT), vocabulary.break_
    segments = (text, shown) if shown else (text,)
    between = text_infill_task(segments, len(head), vocabulary, longest=LONGEST_TEXT)
    said = [
        tuple(one.ids[:-1])
        for task in (between, whole.begun(head))
        for one in voice.say(task, consulted, settings, watch)
    ]
    words = {one: voice.codec.text.decode(one, follows=bool(head)) for one in beginnings(said)}
    spaced = [one for one, told in words.items() if told.startswith(" ")]
    some = spaced if gap.spaced and spaced else list(words)
    told = [(*head, *one, *tail, end) for one in some]
    losses = [
        one.tolist()
        for one in voice.scores(whole, consulted, told, watch, at_once=settings.at_once)
    ]
    best = best_first([sum(one) for one in losses])[: settings.candidates]
    return Fillings(
        tuple(gap.around(words[some[i]]) for i in best),
        tuple(float(np.exp(-text_score(losses[i]))) for i in best),
        Trace(whole, tuple(told[i] for i in best)),
    )


def beginnings(said: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What was said, and how it begins, each once; nothing only where nothing was said."""
    found = [
        ids[:stop] for ids in said for stop in (*range(1, min(ENDS, len(ids) - 1) + 1), len(ids))
    ]
    return [*dict.fromkeys(one for one in found if one)] or [()]
