"""Telling labels apart after a few examples, which are read as documents."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from racm3.document import Image
from racm3.errors import GenerationError
from racm3.generation.tasks import Task, caption_task, draw_task
from racm3.system.results import Consulted
from racm3.system.voice import LONGEST_TEXT, Voice, Watch

By = Literal["picture", "label"]


def require_equally_many(examples: Mapping[str, Sequence[Image]]) -> None:
    """
    Raises:
        GenerationError: There is one label alone, or one has more examples than another, or none.
    """
    counts = {len(pictures) for pictures in examples.values()}
    if len(examples) < 2 or len(counts) != 1 or 0 in counts:
        raise GenerationError(
            "at least two labels with equally many example pictures (one or more) are needed; "
            f"found { ({label: len(p) for label, p in examples.items()}) }"
        )


def by_picture(
    voice: Voice,
    picture: Image,
    examples: Mapping[str, Sequence[Consulted]],
    watch: Watch | None = None,
) -> dict[str, float]:
    """How likely each label is by how likely it makes the picture: the noisy channel.

    Every example is read alone and its label said again; the picture's probabilities after the
    examples of a label are averaged, and all labels are as likely beforehand (Min et al. 2022). A
    watcher is called before each example and may raise to stop.
    """
    codes = voice.segment(picture).ids
    vocabulary, logs = voice.codec.vocabulary, list[torch.Tensor]()
    for label, shots in examples.items():
        task, each = draw_task(voice.text(label), len(codes), vocabulary), list[torch.Tensor]()
        for shot in shots:
            if watch:
                watch([])
            each.append(voice.score(task, [shot], codes).double().sum())
        logs.append(torch.stack(each).logsumexp(dim=0) - torch.tensor(len(each)).log())
    return dict(zip(examples, torch.stack(logs).softmax(dim=0).tolist(), strict=True))


def by_label(
    voice: Voice,
    picture: Image,
    examples: Mapping[str, Sequence[Consulted]],
    watch: Watch | None = None,
) -> dict[str, float]:
    """How likely each label is to be said of a picture, the mean over passes (RA-CM3 §4.5).

    Every pass reads one example of each label. A watcher is called before each label of each pass
    and may raise to stop; nothing is said meanwhile, so it is told nothing.
    """
    task = caption_task(voice.segment(picture), voice.codec.vocabulary, longest=LONGEST_TEXT)
    total = dict.fromkeys(examples, 0.0)
    for pair in one_of_each(examples):
        for label, probability in _after(voice, task, pair, list(examples), watch).items():
            total[label] += probability
    share = sum(total.values())
    return {label: value / share for label, value in total.items()}


def one_of_each(examples: Mapping[str, Sequence[Consulted]]) -> list[tuple[Consulted, ...]]:
    """What each pass reads: as many passes as every label has examples."""
    return list(zip(*examples.values(), strict=True))


def _after(
    voice: Voice,
    task: Task,
    pair: Sequence[Consulted],
    labels: Sequence[str],
    watch: Watch | None,
) -> dict[str, float]:
    answers = [[*voice.ids(label), voice.codec.vocabulary.eoss] for label in labels]
    scores = voice.scores(task, pair, answers, watch, at_once=len(pair))
    found = {
        label: float(one.double().sum().exp()) for label, one in zip(labels, scores, strict=True)
    }
    share = sum(found.values()) or 1.0
    return {label: value / share for label, value in found.items()}
