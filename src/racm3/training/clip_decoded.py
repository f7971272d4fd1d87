"""Teaching a CLIP's picture tower that a picture stays what it is when a tokenizer has drawn it.

A published CLIP has met soft, noisy and compressed pictures; a small one has met clean ones, and of
what its own system drew it finds little in the memory. Its tower learns to find by a decoded
picture what the clean one found, and to see in clean ones what it always saw, so that vectors that
are there already stay good.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from racm3.document import Image
from racm3.retrieval.embedding import Vectors
from racm3.retrieval.encoder import ClipEncoder
from racm3.runtime import autocast
from racm3.training.clip import TowersLearner, TowersTraining

UNSEEN = 1_000_000


class Twins(NamedTuple):
    """Pictures before and after a tokenizer, and the row of the document that each is to find."""

    clean: Sequence[Image]
    decoded: Sequence[Image]
    rows: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class DecodedTraining(TowersTraining):
    """How a picture tower learns to see through what a tokenizer makes of a picture.

    Args:
        scenes: How many scenes are encoded and decoded an update; what stands in each is a picture.
        scale: By how much inner products are multiplied where documents are told apart.
        found: How much it counts that the right document is found, beside squared distances.
    """

    lr: float = 5e-4
    weight_decay: float = 0.0
    scenes: int = 24
    scale: float = 40.0
    found: float = 0.1


class Errors(NamedTuple):
    """Squared distances on the unit sphere from what the teacher sees in the clean picture, and the
    cross-entropy of the right document among all."""

    clean: Float[Tensor, ""]
    decoded: Float[Tensor, ""]
    found: Float[Tensor, ""]


class DecodedLearner(TowersLearner):
    """Teaches the picture tower of a CLIP, all else of which stays as it is.

    Args:
        before: The CLIP that is its own teacher; it is left as it is.
        documents: What its memory holds.
        twins: What is looked at, by the step.
    """

    config: DecodedTraining

    def __init__(
        self,
        before: ClipEncoder,
        documents: Vectors,
        config: DecodedTraining,
        twins: Callable[[int], Twins],
        device: torch.device,
    ) -> None:
        encoder = deepcopy(before)
        encoder.clip.requires_grad_(False)
        super().__init__(encoder, config, encoder.clip.vision_model.parameters(), device)
        self.before, self.twins = before, twins
        self.documents = torch.from_numpy(documents).to(device)
        before.clip.to(device)

    def learn_from(self, step: int) -> dict[str, float]:
        errors = self.errors(self.twins(step))
        loss = errors.clean + errors.decoded + self.config.found * errors.found
        self.update(step, loss)
        return {"loss": loss.item(), **_told(errors)}

    def errors(self, twins: Twins) -> Errors:
        with torch.no_grad():
            right = self._seen(self.before, twins.clean)
        seen = [self._seen(self.encoder, some) for some in (twins.clean, twins.decoded)]
        clean, decoded = ((one - right).square().sum(dim=1).mean() for one in seen)
        scores = self.config.scale * seen[1] @ self.documents.T
        rows = torch.tensor(twins.rows, device=self.device)
        return Errors(clean, decoded, F.cross_entropy(scores, rows))

    def _seen(self, encoder: ClipEncoder, pictures: Sequence[Image]) -> Float[Tensor, "batch dim"]:
        with autocast(self.device, self.config.precision):
            seen = encoder.clip.image(encoder.preprocess(pictures).to(self.device))
        return F.normalize(seen.float(), dim=-1)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Errors on pictures that are never learnt from, and how many of them find their document
        first before and after the tokenizer."""
        twins = self.twins(UNSEEN)
        rows = torch.tensor(twins.rows, device=self.device)
        recall = {
            f"recall@1_{name}": (self._seen(self.encoder, some) @ self.documents.T).argmax(dim=1)
            for name, some in (("clean", twins.clean), ("decoded", twins.decoded))
        }
        shares = {name: (found == rows).float().mean().item() for name, found in recall.items()}
        return {**_told(self.errors(twins)), **shares}


def _told(errors: Errors) -> dict[str, float]:
    return {name: error.item() for name, error in errors._asdict().items()}
