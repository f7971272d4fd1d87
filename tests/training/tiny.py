"""A tiny learner; run as a module it trains into a folder, so that tests can kill it."""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from racm3.data.prepared import Prepared, TokenTable
from racm3.data.stream import Stream, StreamConfig
from racm3.model.config import GeneratorConfig
from racm3.model.transformer import Transformer
from racm3.training.generator import GeneratorLearner, GeneratorTraining
from racm3.training.loop import LoopConfig, train


def learner(
    prepared: Prepared,
    *,
    vocabulary: int | None = None,
    steps: int = 12,
    rank: int = 0,
    world: int = 1,
    **changes: object,
) -> GeneratorLearner:
    from tests.data.test_stream import VOCABULARY

    torch.manual_seed(0)
    size = vocabulary or len(VOCABULARY)
    config = GeneratorConfig(width=16, depth=1, heads=2, vocabulary=size, context=256)
    training = GeneratorTraining(steps=steps, warmup=2, **{"lr": 1e-3, **changes})
    stream = Stream(prepared, StreamConfig(rows=2, length=160), VOCABULARY, rank=rank, world=world)
    return GeneratorLearner(Transformer(config), training, stream, [], torch.device("cpu"))


def material() -> Prepared:
    from tests.data.test_stream import document

    rng = np.random.default_rng(0)
    tables = [TokenTable.of([document(rng) for _ in range(count)]) for count in (50, 20)]
    about = {"text_size": 40, "codebook_size": 20, "cells": 9}
    return Prepared(*tables, rng.integers(0, 20, (50, 3, 2)), about)


if __name__ == "__main__":
    torch.set_num_threads(1)
    slow = learner(material())
    once = slow.learn_from
    slow.learn_from = lambda step: (time.sleep(0.05), once(step))[1]  # type: ignore[method-assign]
    train(slow, LoopConfig(steps=12, save_every=2, log_every=100), Path(sys.argv[1]))
