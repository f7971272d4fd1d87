"""One more course for a finished sample system: its codebook refined, its weights going on."""

import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.data.sample_world import corpus
from racm3.errors import ConfigError
from racm3.recipes.assembling import thinned
from racm3.recipes.build import Build, learnable
from racm3.recipes.collection import Beginning
from racm3.recipes.recipe import SampleRecipe
from racm3.recipes.sample_clip import train_decoded, train_words
from racm3.recipes.samples import SAMPLES
from racm3.retrieval.encoder import ClipEncoder
from racm3.runtime import folder_written_whole, progress, write_whole
from racm3.system.parts import require_system, system_folder
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.growing import grown, parents
from racm3.tokens.vqgan.model import VQGAN

# Pictures that new codes are placed by, and whose codes are compared: batches, and which of them.
PLACED, COMPARED = range(1_000_000, 1_000_040), range(2_000_000, 2_000_120)
LOGS, COURSES = "*.log.jsonl", "racm3-*.log.jsonl"


def build_of(name: str, folder: Path, *, after: str | None = None, on: str = "auto") -> Build:
    """The stages of the recipe of this name, from nothing or `after` a finished system, which is a
    folder or `sample`.

    Raises:
        ConfigError: There is no such recipe, or it starts otherwise.
    """
    if name not in SAMPLES:
        raise ConfigError(f"there is no recipe {name!r}; choose one of {', '.join(SAMPLES)}")
    recipe = SAMPLES[name]()
    if (after is None) == recipe.further:
        raise ConfigError(
            f"{name} goes on from a finished system; say which with --after"
            if after is None
            else f"{name} starts from nothing; leave --after away or take further_cpu"
        )
    if after is None:
        return Build(recipe, folder, on=on)
    return Further(recipe, folder, after=system_folder(after), on=on)


class Further(Build):
    """The stages of `Build` for a system that is finished, which `after` holds.

    The text tokenizer is taken over, and the CLIP where the recipe has no `words` and no
    `seeing` for it. The image tokenizer gets the recipe's number of codes and goes on learning;
    each generator starts from its weights there, each code as the one that stood in its place. With
    `keep_codes` the image tokenizer is taken over, too, and without any course the generators are.
    Courses are numbered on from those whose logs lie beside the weights, so each meets things of
    its own.

    Raises:
        CheckpointError: There is no system at `after`.
    """

    def __init__(
        self, recipe: SampleRecipe, folder: Path, *, after: Path, on: str = "auto"
    ) -> None:
        require_system(after)
        begun = len(list(after.glob(COURSES)))
        courses = [replace(one, fiction=begun + n) for n, one in enumerate(recipe.courses)]
        super().__init__(replace(recipe, begun=begun, courses=tuple(courses)), folder, on=on)
        self.after = after

    def pictures(self, step: int) -> Float[Tensor, "batch 3 side side"]:
        return corpus.varied_pictures(step, batch=self.recipe.tokenizer_batch)

    def vqgan(self) -> VQGAN:
        pixels = torch.cat([self.pictures(step) for step in PLACED])
        return grown(learnable(self._old), self.recipe.vqgan.codes, pixels)

    def tokenizer(self) -> ImageTokenizer:
        if self.recipe.keep_codes:
            place = self._taken_over("tokenizer", "tokenizer/final")
            return ImageTokenizer.open(place, device=self.where)
        return super().tokenizer()

    def clip(self) -> ClipEncoder:
        before, folder, recipe = self.after / "clip", self.folder / "clip", self.recipe
        if recipe.words:
            return train_words(recipe.words, recipe, before, folder, self.where)
        if recipe.seeing:
            drawn = self.tokenizer()
            return train_decoded(recipe.seeing, recipe, before, drawn, folder, self.where)
        return ClipEncoder.open(self._taken_over("clip", "clip/final"), device=self.where)

    def text(self) -> TextTokenizer:
        place = self.folder / "text"
        if self.recipe.spaced and not place.exists():
            with folder_written_whole(place) as temporary:
                TextTokenizer.open(self.after / "text").spaced().save(temporary)
        return TextTokenizer.open(self._taken_over("text", "text"))

    def _generator(self, recipe: SampleRecipe, name: str) -> None:
        if recipe.courses:
            super()._generator(recipe, name)
        else:
            self._taken_over(name, f"{name}/{recipe.numbers.stop - 1}/final")

    def beginning(self, name: str, codec: Codec) -> Beginning:
        if self.recipe.keep_codes:
            return Beginning(weights=self.after / name)
        return Beginning(weights=self.after / name, parents=self._heirs)

    def system(self) -> None:
        """Everything that is still missing, then the system folder, with what was logged before."""
        self.clip()
        self.text()
        super().system()
        anew = {
            "tokenizer": not self.recipe.keep_codes,
            "decoder": self.recipe.decoder is not None,
            "clip": bool(self.recipe.words or self.recipe.seeing),
        }
        for log in self.after.glob(LOGS):
            part, place = log.name.removesuffix(".log.jsonl"), self.folder / "system" / log.name
            if anew.get(part):
                before = len(list(self.after.glob(f"{part}-*.log.jsonl")))
                place = place.with_name(f"{part}-{before}.log.jsonl")
            if not place.exists():
                write_whole(place, thinned(log))

    @property
    def _old(self) -> ImageTokenizer:
        return ImageTokenizer.open(self.after / "tokenizer")

    @cached_property
    def _heirs(self) -> Int[Tensor, " codes"]:
        """What stood in the place of each new code."""
        new = ImageTokenizer.open(self.folder / "tokenizer" / "final")
        steps = progress(COMPARED, label="comparing codes")
        pictures = (self.pictures(step) for step in steps)
        return parents(learnable(self._old), learnable(new), pictures)

    def _taken_over(self, part: str, where: str) -> Path:
        place = self.folder / where
        if not place.exists():
            with folder_written_whole(place) as temporary:
                shutil.copytree(self.after / part, temporary, dirs_exist_ok=True)
        return place
