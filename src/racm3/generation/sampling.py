"""Which id is chosen: temperature, top-k, top-p, and the dice. Legality is decided elsewhere."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Float64, Int
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
        cd_k: CD-K's k; 1 is contrastive decoding as Li et al. (2022) have it. CM3Leon's own is not
            known here: with 8 a generator that is sure of one id draws noise (docs/log.md).
        cd_alpha: CD-K's share of the k-th largest probability that an id needs.
    """

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0
    strategy: Literal["top_p", "cd_k", "half"] = "top_p"
    cd_k: int = 1
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


class Nucleus(NamedTuple):
    """Some ids in the order of their numbers, and the probability of each, 0 where it may not be
    drawn; what the others had is not shared out."""

    ids: Int[Tensor, "*samples some"]
    probability: Float64[Tensor, "*samples some"]


def nucleus(logits: Float[Tensor, "*samples vocab"], share: float) -> Nucleus:
    """The smallest set of most probable ids that has `share` of the probability (Holtzman et al.
    2020), among ids that hold it."""
    probability, size = logits.softmax(dim=-1), logits.shape[-1]
    if share >= 1:
        return Nucleus(
            torch.arange(size, device=logits.device).expand_as(logits), probability.double()
        )
    # Mostly few ids have that share, and finding these is cheaper than sorting all.
    for count in (min(FEW, size), min(8 * FEW, size), size):
        best, ids = probability.topk(count, dim=-1)
        best = best.double()
        before = best.cumsum(dim=-1) - best
        if count == size or bool((before[..., -1] >= share).all()):
            break
    ids, order = ids.sort(dim=-1)
    return Nucleus(ids, best.where(before < share, 0.0).gather(-1, order))


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
    scores = keep_top_k(logits / sampling.temperature, sampling.top_k)
    ids, probability = nucleus(scores, sampling.top_p)
    cumulative = probability.cumsum(dim=-1)
    target = throws.to(cumulative)[..., None] * cumulative[..., -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp_max(ids.shape[-1] - 1)
    return ids.gather(-1, place).squeeze(-1)
