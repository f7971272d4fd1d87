"""A training step against plain `Qwen3ForCausalLM`: same weights, samples and optimizer.

    python benchmarks/training.py [--bf16 1]

Ours packs samples into rows; the reference pads each to the longest, as a plain loop would. Both
multiply in bf16 where that is asked for.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from common import arguments, seconds, show
from transformers import AutoModelForCausalLM

from racm3.data.prepared import Prepared, TokenTable
from racm3.data.stream import Stream, StreamConfig
from racm3.model.config import GeneratorConfig
from racm3.model.export import save_generator
from racm3.model.transformer import Transformer
from racm3.runtime import autocast
from racm3.tokens.codec import Kind, Segment
from racm3.tokens.vocabulary import Vocabulary
from racm3.training.generator import GeneratorLearner, GeneratorTraining

VOCABULARY = Vocabulary(2048, 1024)


def material(rng: np.random.Generator) -> Prepared:
    def document() -> tuple[Segment, ...]:
        text = rng.integers(0, 2048, rng.integers(5, 15)).tolist()
        codes = (2048 + rng.integers(0, 1024, 64)).tolist()
        return (Segment(Kind.TEXT, tuple(text)), Segment(Kind.IMAGE, tuple(codes)))

    table = TokenTable.of([document() for _ in range(400)])
    about = {"text_size": 2048, "codebook_size": 1024, "cells": 64}
    return Prepared(table, table, rng.integers(0, 400, (400, 2, 2)), about)


def main() -> None:
    what = "samples per second while training"
    chosen = arguments(what, repeats=3, rows=4, length=1024, compiled=1, bf16=0)
    precision = "bf16" if chosen.bf16 else "fp32"
    prepared = material(np.random.default_rng(0))
    config = GeneratorConfig(width=192, depth=6, heads=6, vocabulary=len(VOCABULARY), context=1024)
    model = Transformer(config)
    with tempfile.TemporaryDirectory() as folder:
        save_generator(model, Path(folder))
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    stream = Stream(prepared, StreamConfig(rows=chosen.rows, length=chosen.length), VOCABULARY)
    packed = next(stream)
    samples = [stream.sample(number) for number in range(int((packed.sample.max(1) + 1).sum()))]
    waste = float((packed.sample < 0).mean())
    runs = {
        "ours, alpha 0": step_of(model, stream, precision, alpha=0.0),
        "ours, alpha 0.1": step_of(model, stream, precision),
        "ours, alpha 0.1, muon": step_of(model, stream, precision, optimizer="muon"),
        "Qwen3ForCausalLM": reference_step(theirs, samples, precision),
    }
    if chosen.compiled:
        runs["ours, alpha 0.1, compiled"] = step_of(model, stream, precision, compile=True)
    taken = seconds(runs, repeats=chosen.repeats)
    useful = sum(len(sample.ids) for sample in samples)
    base = taken["Qwen3ForCausalLM"]
    rows = [
        {
            "step of": name,
            "s/step": round(value, 3),
            "useful ids/s": round(useful / value),
            "ratio": round(base / value, 2),
            "padding": f"{waste:.1%}" if name.startswith("ours") else "to the longest",
        }
        for name, value in taken.items()
    ]
    show(rows, chosen)


def step_of(model, stream, precision, **options):
    training = GeneratorTraining(steps=1000, precision=precision, **options)
    learner = GeneratorLearner(model, training, stream, [], torch.device("cpu"))
    mark = stream.bookmark()

    def step() -> None:
        stream.seek(mark)
        learner.learn_from(0)

    stream.seek(np.array([0]))
    mark = stream.bookmark()
    return step


def reference_step(model, samples, precision):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98))
    longest = max(len(sample.ids) for sample in samples)
    ids = torch.full((len(samples), longest), VOCABULARY.pad)
    labels = torch.full((len(samples), longest), -100)
    mask = torch.zeros(len(samples), longest, dtype=torch.long)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.from_numpy(sample.ids)
        labels[row, : len(sample.ids)] = torch.from_numpy(sample.ids)
        mask[row, : len(sample.ids)] = 1

    def step() -> None:
        optimizer.zero_grad()
        with autocast(model.device, precision):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
