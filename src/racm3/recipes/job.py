"""One generator's training, whole: what it learns from, what it starts from, and how."""

from dataclasses import dataclass
from pathlib import Path

import torch

from racm3.data.prepared import Prepared
from racm3.data.stream import StreamConfig
from racm3.recipes.collection import Beginning, train_generator
from racm3.tokens.vocabulary import Vocabulary
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig


@dataclass(frozen=True, kw_only=True)
class Job:
    """Files and numbers alone, so that another machine can do it (`recipes/away.py`).

    Args:
        material: The folder of the material.
        validation: The folder of what it is validated on; None for nothing.
        beginning: What it starts from.
        training: How it learns.
        stream: What a sample is made of.
        loop: How long, and how often it is saved.
    """

    material: Path
    beginning: Beginning
    training: GeneratorTraining
    stream: StreamConfig
    loop: LoopConfig
    validation: Path | None = None

    def train(self, folder: Path, *, on: torch.device | None = None) -> None:
        """Train into `folder`; killed at any time, the same call goes on where it was."""
        material = Prepared.open(self.material)
        train_generator(
            Vocabulary(material.about["text_size"], material.about["codebook_size"]),
            material,
            self.beginning,
            self.training,
            self.stream,
            loop=self.loop,
            folder=folder,
            validation=Prepared.open(self.validation) if self.validation else None,
            on=on,
        )
