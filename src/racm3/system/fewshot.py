"""Telling labels apart after a few examples: demonstrations in context, passes ensembled."""

from collections.abc import Sequence

from racm3.document import Image
from racm3.generation.tasks import Task, caption_task
from racm3.system.results import Consulted
from racm3.system.voice import LONGEST_TEXT, Voice, Watch


def label_probabilities(
    voice: Voice,
    picture: Image,
    labels: Sequence[str],
    passes: Sequence[Sequence[Consulted]],
    watch: Watch | None = None,
) -> dict[str, float]:
    """How likely each label is for a picture, the mean over passes (RA-CM3 §4.5).

    Every pass reads one example of each label. A watcher is called before each label of each pass
    and may raise to stop; nothing is said meanwhile, so it is told nothing.
    """
    task = caption_task(voice.segment(picture), voice.codec.vocabulary, longest=LONGEST_TEXT)
    total = dict.fromkeys(labels, 0.0)
    for pair in passes:
        for label, probability in _after(voice, task, pair, labels, watch).items():
            total[label] += probability
    share = sum(total.values())
    return {label: value / share for label, value in total.items()}


def _after(
    voice: Voice,
    task: Task,
    pair: Sequence[Consulted],
    labels: Sequence[str],
    watch: Watch | None,
) -> dict[str, float]:
    found = {}
    for label in labels:
        if watch:
            watch([])
        ids = [*voice.ids(label), voice.codec.vocabulary.eoss]
        found[label] = float(voice.score(task, pair, ids).double().sum().exp())
    share = sum(found.values()) or 1.0
    return {label: value / share for label, value in found.items()}
