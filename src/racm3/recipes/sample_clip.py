"""The sample system's small CLIP: from captions and pictures, then words that it never met, then
pictures as the system draws them."""

from functools import partial
from pathlib import Path

import torch

from racm3.data.sample_world import corpus
from racm3.data.sample_world.catalogue import told
from racm3.document import Image
from racm3.recipes.recipe import SampleRecipe, loop
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.query import halves, places
from racm3.runtime import dice
from racm3.tokens.image import ImageTokenizer
from racm3.training.clip import ClipLearner, new_clip
from racm3.training.clip_decoded import DecodedLearner, DecodedTraining, Twins
from racm3.training.clip_words import WordsLearner, WordTraining, telling
from racm3.training.loop import train

# In how many parts a scene is looked at beside all of it.
PARTS, SHOWN_IN = 3, 94


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


def train_decoded(
    training: DecodedTraining,
    recipe: SampleRecipe,
    before: Path,
    tokenizer: ImageTokenizer,
    folder: Path,
    where: torch.device,
) -> ClipEncoder:
    """The CLIP at `before` with a picture tower that knows what the tokenizer makes of pictures, or
    the finished one. As it has met every thing, it learns what becomes of every thing."""
    if not (folder / "final").exists():
        shown = partial(twins, tokenizer, recipe.retriever, scenes=training.scenes)
        learner = DecodedLearner(ClipEncoder.open(before), training, shown, where)
        train(learner, loop(training.steps, recipe.save_every), folder)
    return ClipEncoder.open(folder / "final", device=where)


def twins(tokenizer: ImageTokenizer, config: RetrieverConfig, step: int, *, scenes: int) -> Twins:
    """Scenes before and after a tokenizer, each as a whole and in some of the parts that a picture
    is asked by."""
    rng, clean, decoded = dice(SHOWN_IN, step), list[Image](), list[Image]()
    pictures = corpus.crowded_pictures(step, batch=scenes)
    for pair in zip(pictures, tokenizer.decode(tokenizer.encode(pictures)), strict=True):
        one, other = (_parts(picture, config) for picture in pair)
        few = min(PARTS, len(one) - 1)
        rows = [0, *(1 + rng.choice(len(one) - 1, few, replace=False))] if few else [0]
        clean += [one[row] for row in rows]
        decoded += [other[row] for row in rows]
    return Twins(clean, decoded)


def _parts(picture: Image, config: RetrieverConfig) -> list[Image]:
    """All that a picture may be asked by."""
    cut = halves(picture) if config.halves else []
    every = *cut, *(places(picture, layout) for layout in config.layouts)
    return [picture, *(part.images[0] for way in every for part in way)]
