"""The sample system's small CLIP: from captions and pictures, then words that it never met."""

from functools import partial
from pathlib import Path

import torch

from racm3.data.sample_world import corpus
from racm3.data.sample_world.catalogue import told
from racm3.recipes.recipe import SampleRecipe, loop
from racm3.retrieval.encoder import ClipEncoder
from racm3.training.clip import ClipLearner, new_clip
from racm3.training.clip_words import WordsLearner, WordTraining, telling
from racm3.training.loop import train


def train_clip(recipe: SampleRecipe, folder: Path, where: torch.device) -> ClipEncoder:
    """One that has met every thing, or the finished one that is already there."""
    if not (folder / "final").exists():
        encoder = new_clip(recipe.clip, corpus.captions("all"), sides=recipe.sides)
        pairs = partial(corpus.clip_pairs, batch=recipe.clip_batch)
        learner = ClipLearner(encoder, recipe.clip, pairs, corpus.named_pictures(), where)
        train(learner, loop(recipe.clip.steps, recipe.save_every), folder)
    return ClipEncoder.open(folder / "final", device=where)


def train_words(
    training: WordTraining, recipe: SampleRecipe, before: Path, folder: Path, where: torch.device
) -> ClipEncoder:
    """The CLIP at `before` with a text tower that tells words, or the finished one.

    Raises:
        ConfigError: There is no room for words, or too much of it.
    """
    if not (folder / "final").exists():
        teacher = ClipEncoder.open(before)
        encoder = telling(teacher, training, recipe.sides)
        # What the old tower says is harder to learn than which words there are.
        lines = partial(told, entries=2 * recipe.clip_batch // 3, captions=4 * recipe.clip_batch)
        unseen = corpus.named_pictures()
        learner = WordsLearner(encoder, teacher, training, lines, unseen, where)
        train(learner, loop(training.steps, recipe.save_every), folder)
    return ClipEncoder.open(folder / "final", device=where)
