"""One more course for a finished sample system: its codebook refined, its weights going on."""

import shutil
from functools import partial
from pathlib import Path

import torch

from racm3.data.sample_world import corpus
from racm3.errors import ConfigError
from racm3.recipes.build import Build, loop
from racm3.recipes.collection import Beginning
from racm3.recipes.sample import SampleRecipe
from racm3.retrieval.encoder import ClipEncoder
from racm3.runtime import folder_written_whole
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.growing import grown
from racm3.tokens.vqgan.model import VQGAN
from racm3.training.loop import train
from racm3.training.vqgan import TokenizerLearner

# The batches of pictures that new codes are placed by: how many, and after which of training's.
BATCHES, APART = 40, 1_000_000
LOGS = "*.log.jsonl"


class Further(Build):
    """The stages of `Build` for a system that is finished, which `after` holds.

    CLIP and text tokenizer are taken over. The image tokenizer gets the recipe's number of codes
    and goes on learning; each generator starts from its weights there, with new codes as their
    parents were.
    """

    def __init__(
        self, recipe: SampleRecipe, folder: Path, *, after: Path, on: str = "auto"
    ) -> None:
        super().__init__(recipe, folder, on=on)
        self.after = after

    def tokenizer(self) -> ImageTokenizer:
        folder, training = self.folder / "tokenizer", self.recipe.tokenizer
        if not (folder / "final").exists():
            vqgan, _ = self._grown()
            pictures = partial(corpus.varied_pictures, batch=self.recipe.tokenizer_batch)
            unseen = corpus.unseen_pictures(128)
            learner = TokenizerLearner(vqgan, training, pictures, unseen, self.where)
            train(learner, loop(training.steps, self.recipe.save_every), folder)
        return ImageTokenizer.open(folder / "final", device=self.where)

    def clip(self) -> ClipEncoder:
        return ClipEncoder.open(self._taken_over("clip", "clip/final"), device=self.where)

    def text(self) -> TextTokenizer:
        return TextTokenizer.open(self._taken_over("text", "text"))

    def beginning(self, name: str, codec: Codec) -> Beginning:
        _, parents = self._grown()
        return Beginning(weights=self.after / name, parents=parents)

    def system(self) -> None:
        """Everything that is still missing, then the system folder, with what was logged before."""
        super().system()
        for log in self.after.glob(LOGS):
            name = log.name.replace("tokenizer", "tokenizer-0")
            if not (self.folder / "system" / name).exists():
                shutil.copy(log, self.folder / "system" / name)

    def _grown(self) -> tuple[VQGAN, torch.Tensor]:
        """The same in every process: it is a function of the old tokenizer."""
        old = ImageTokenizer.open(self.after / "tokenizer").vqgan
        if not isinstance(old, VQGAN):
            raise ConfigError("only our own VQGAN can be refined, not an imported one")
        batch = self.recipe.tokenizer_batch
        pictures = [
            corpus.varied_pictures(APART + number, batch=batch) for number in range(BATCHES)
        ]
        return grown(old, self.recipe.vqgan.codes, torch.cat(pictures))

    def _taken_over(self, part: str, where: str) -> Path:
        place = self.folder / where
        if not place.exists():
            with folder_written_whole(place) as temporary:
                shutil.copytree(self.after / part, temporary, dirs_exist_ok=True)
        return place
