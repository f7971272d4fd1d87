"""What redraws a part of a picture: CM3's infilling and drawing on, whichever is likelier."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from racm3.generation.ranking import best_first
from racm3.generation.tasks import fill, picture_infill_task, redraw_task
from racm3.system.results import Consulted, Settings, Trace
from racm3.system.voice import Voice, Watch
from racm3.tokens.codec import Segment


class Redrawn(NamedTuple):
    """Whole pictures as codes, best first, each with the mean log-probability of its codes from the
    first redrawn one on."""

    pictures: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    trace: Trace


def redrawings(
    voice: Voice,
    text: Segment | None,
    picture: Segment,
    mask: Bool[np.ndarray, "rows columns"],
    consulted: Sequence[Consulted],
    settings: Settings,
    watch: Watch | None,
) -> Redrawn:
    """The likeliest whole pictures among those in which the masked cells are infilled, and those
    that are drawn on from the first of them.

    Infilling sees what comes after a cell, and is learnt from few pictures; drawing on sees what
    comes before it alone, and is learnt from every picture (docs/log.md). How likely the whole
    picture is counts what comes after, whoever filled it.
    """
    vocabulary, codes = voice.codec.vocabulary, picture.ids
    between = picture_infill_task(text, picture, mask, vocabulary)
    found = [
        fill(picture, mask, between.grammar.spans(one.ids)).ids  # type: ignore[attr-defined]
        for one in voice.say(between, consulted, settings, watch)
    ]
    whole = redraw_task(text, picture, mask, vocabulary)
    start = len(codes) - whole.longest
    # Toward a picture (three streams) can only be guided where one of them has not seen it.
    if settings.guidance.image_weight is None:
        last = int(np.flatnonzero(mask)[-1]) + 1
        said = voice.say(whole._replace(longest=last - start), consulted, settings, watch)
        found += [(*codes[:start], *one.ids, *codes[last:]) for one in said]
    scores = voice.means(whole, consulted, [one[start:] for one in found], settings, watch)
    best = best_first(scores)[: settings.candidates]
    return Redrawn(
        tuple(found[i] for i in best),
        tuple(scores[i] for i in best),
        Trace(whole, tuple(found[i][start:] for i in best)),
    )
