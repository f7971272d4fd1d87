"""Teaching a CLIP's picture tower that a picture stays what it is when a tokenizer has drawn it.

A published CLIP has met soft, noisy and compressed pictures; a small one has met clean ones, and of
what its own system drew it finds little in the memory. Its tower learns to see in a decoded picture
what it saw in the clean one, and in the clean one what it always saw, so that vectors that are
there already stay good.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from racm3.document import Image
from racm3.retrieval.encoder import ClipEncoder
from racm3.runtime import autocast
from racm3.training.clip import TowersLearner, TowersTraining

UNSEEN = 1_000_000


class Twins(NamedTuple):
    """The same pictures, or parts of them, before and after a tokenizer: row i of both is one."""

    clean: Sequence[Image]
    decoded: Sequence[Image]


@dataclass(frozen=True, kw_only=True)
class DecodedTraining(TowersTraining):
    """How a picture tower learns to see through what a tokenizer makes of a picture.

    Args:
        scenes: How many scenes are encoded and decoded an update; each is shown in several parts.
    """

    lr: float = 3e-4
    weight_decay: float = 0.0
    scenes: int = 24


class DecodedLearner(TowersLearner):
    """Teaches the picture tower of a CLIP, all else of which stays as it is.

    Args:
        before: The CLIP that is its own teacher; it is left as it is.
        twins: What is looked at, by the step.
    """

    config: DecodedTraining

    def __init__(
        self,
        before: ClipEncoder,
        config: DecodedTraining,
        twins: Callable[[int], Twins],
        device: torch.device,
    ) -> None:
        encoder = deepcopy(before)
        encoder.clip.requires_grad_(False)
        super().__init__(encoder, config, encoder.clip.vision_model.parameters(), device)
        self.before, self.twins = before, twins
        before.clip.to(device)

    def learn_from(self, step: int) -> dict[str, float]:
        clean, decoded = self.errors(step)
        self.update(step, clean + decoded)
        return {"loss": (clean + decoded).item(), "clean": clean.item(), "decoded": decoded.item()}

    def errors(self, step: int) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Mean squared distances on the unit sphere from what the teacher sees in the clean one."""
        twins = self.twins(step)
        with torch.no_grad():
            right = self._seen(self.before, twins.clean)
        clean, decoded = (
            (self._seen(self.encoder, some) - right).square().sum(dim=1).mean() for some in twins
        )
        return clean, decoded

    def _seen(self, encoder: ClipEncoder, pictures: Sequence[Image]) -> Float[Tensor, "batch dim"]:
        with autocast(self.device, self.config.precision):
            seen = encoder.clip.image(encoder.preprocess(pictures).to(self.device))
        return torch.nn.functional.normalize(seen.float(), dim=-1)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Errors on pictures that are never learnt from, and how many decoded ones are nearer to
        what the teacher sees in their own twin than in any other."""
        clean, decoded = self.errors(UNSEEN)
        twins = self.twins(UNSEEN)
        found = self._seen(self.encoder, twins.decoded) @ self._seen(self.before, twins.clean).T
        own = (found >= found.diagonal()[:, None]).sum(dim=1) == 1
        recall = own.float().mean().item()
        return {"clean": clean.item(), "decoded": decoded.item(), "recall@1": recall}
