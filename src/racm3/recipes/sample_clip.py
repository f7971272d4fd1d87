"""The sample system's small CLIP: from captions and pictures, then words that it never met, then
pictures as the system draws them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from racm3.data.sample_world import corpus
from racm3.data.sample_world.catalogue import told
from racm3.data.sample_world.scenes import RELATIONS, Scene
from racm3.data.sample_world.things import things
from racm3.document import Image
from racm3.recipes.recipe import SampleRecipe, loop
from racm3.retrieval.config import Layout
from racm3.retrieval.embedding import embed_memory
from racm3.retrieval.encoder import ClipEncoder
from racm3.retrieval.query import halves, places
from racm3.tokens.image import ImageTokenizer
from racm3.training.clip import ClipLearner, new_clip
from racm3.training.clip_decoded import DecodedLearner, DecodedTraining, Twins
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
        layouts = recipe.retriever.layouts
        shown = partial(twins, tokenizer, layouts, scenes=training.scenes)
        teacher = ClipEncoder.open(before, device=where)
        vectors = embed_memory(teacher, corpus.memory("all"))
        learner = DecodedLearner(teacher, vectors, training, shown, where)
        train(learner, loop(training.steps, recipe.save_every), folder)
    return ClipEncoder.open(folder / "final", device=where)


def twins(tokenizer: ImageTokenizer, layouts: Sequence[Layout], step: int, *, scenes: int) -> Twins:
    """What stands in scenes before and after a tokenizer, each thing as a picture asks for it:
    one by the whole, two by their halves, more by their places."""
    shown, clean, decoded = corpus.crowded(step, batch=scenes), list[Image](), list[Image]()
    pictures = [scene.draw() for scene in shown]
    for scene, *pair in zip(
        shown, pictures, tokenizer.decode(tokenizer.encode(pictures)), strict=True
    ):
        for picture, seen in zip(pair, (clean, decoded), strict=True):
            seen += _parts(scene, picture, layouts)
    row = {thing.name: number for number, thing in enumerate(things())}
    return Twins(clean, decoded, [row[one.name] for scene in shown for one in scene.things])


def _parts(scene: Scene, picture: Image, layouts: Sequence[Layout]) -> list[Image]:
    many = len(scene.things)
    if many == 1:
        return [picture]
    if many == 2:
        cut = halves(picture)[RELATIONS.index(scene.relation)]
    else:
        cut = places(picture, next(one for one in layouts if len(one) == many))
    return [part.images[0] for part in cut]
