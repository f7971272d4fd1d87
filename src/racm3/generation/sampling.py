"""Which id is chosen: temperature, top-k, top-p, and the dice. Legality is decided elsewhere."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.errors import ConfigError
from racm3.runtime import dice


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How an id is drawn from the scores.

    Args:
        temperature: 0 takes the best id; 1 leaves the model's probabilities as they are.
        top_p: Keep the smallest set of ids with this much probability (nucleus).
        top_k: Keep this many ids; 0 keeps all.
        strategy: `top_p`; `cd_k`, CM3Leon's contrastive decoding (needs a guidance stream); or
            `half`, every second candidate each.
        cd_k: CD-K's k.
        cd_alpha: CD-K's share of the k-th largest probability that an id needs.
    """

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0
    strategy: Literal["top_p", "cd_k", "half"] = "top_p"
    cd_k: int = 8
    cd_alpha: float = 0.5

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError(f"temperature {self.temperature} is negative; 0 means greedy")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p {self.top_p} does not lie in (0, 1]")
        if self.top_k < 0 or self.cd_k < 1 or not 0 <= self.cd_alpha <= 1:
            raise ConfigError("top_k >= 0, cd_k >= 1 and cd_alpha in [0, 1] are expected")


GREEDY = Sampling(temperature=0.0)
FEW = 64


def keep_top_k(
    logits: Float[Tensor, "*samples vocab"], count: int
) -> Float[Tensor, "*samples vocab"]:
    if not count or count >= logits.shape[-1]:
        return logits
    smallest = logits.topk(count, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest, float("-inf"))


def keep_top_p(
    logits: Float[Tensor, "*samples vocab"], share: float
) -> Float[Tensor, "*samples vocab"]:
    """Keep ids, most probable first, until they have `share` of the probability."""
    if share >= 1:
        return logits
    probability = logits.softmax(dim=-1)
    # Mostly few ids have that share, and finding these is cheaper than sorting all.
    for count in (min(FEW, logits.shape[-1]), logits.shape[-1]):
        best, ids = probability.topk(count, dim=-1)
        before = best.cumsum(dim=-1) - best
        if count == logits.shape[-1] or bool((before[..., -1] >= share).all()):
            break
    kept = torch.zeros_like(probability, dtype=torch.bool).scatter(-1, ids, before < share)
    return logits.masked_fill(~kept, float("-inf"))


def uniforms(seed: int, samples: int, steps: int) -> Float[Tensor, "samples steps"]:
    """The dice of every candidate; candidate n throws the same ones however many there are."""
    return torch.stack(
        [torch.from_numpy(dice(seed, number).random(steps)) for number in range(samples)]
    )


def draw(
    logits: Float[Tensor, "*samples vocab"],
    sampling: Sampling,
    throws: Float[Tensor, "*samples"],
) -> Int[Tensor, "*samples"]:
    """One id a sample: the inverse of the cumulative distribution at each throw."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    kept = keep_top_k(logits.double() / sampling.temperature, sampling.top_k)
    cumulative = keep_top_p(kept, sampling.top_p).softmax(dim=-1).cumsum(dim=-1)
    target = throws.to(cumulative)[..., None] * cumulative[..., -1:]
    return (
        torch.searchsorted(cumulative, target, right=True)
        .squeeze(-1)
        .clamp_max(logits.shape[-1] - 1)
    )
