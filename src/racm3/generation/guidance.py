"""Several streams of logits to one: classifier-free guidance, CD-K, ensembles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from racm3.errors import ConfigError
from racm3.generation.sampling import Sampling


def guide(
    conditional: Float[Tensor, "*samples vocab"],
    unconditional: Float[Tensor, "*samples vocab"],
    weight: float,
) -> Float[Tensor, "*samples vocab"]:
    """Classifier-free guidance: l_u + a (l_c - l_u) (CM3Leon §3.1.1)."""
    return unconditional + weight * (conditional - unconditional)


def guide_twice(
    full: Float[Tensor, "*samples vocab"],
    image_only: Float[Tensor, "*samples vocab"],
    nothing: Float[Tensor, "*samples vocab"],
    *,
    image_weight: float,
    text_weight: float,
) -> Float[Tensor, "*samples vocab"]:
    """Three streams for editing: toward the picture, then toward the words (Brooks et al. 2023)."""
    toward_image = guide(image_only, nothing, image_weight)
    return toward_image + text_weight * (full - image_only)


def contrastive(
    conditional: Float[Tensor, "*samples vocab"],
    unconditional: Float[Tensor, "*samples vocab"],
    *,
    k: int,
    alpha: float,
    legal: Bool[Tensor, "*samples vocab"] | None = None,
) -> Float[Tensor, "*samples vocab"]:
    """CD-K: log p_c - log p_u where p_c >= alpha * the k-th largest p_c (CM3Leon §3.1.2)."""
    if legal is not None:
        conditional = conditional.masked_fill(~legal, float("-inf"))
        unconditional = unconditional.masked_fill(~legal, float("-inf"))
    certain, vague = conditional.log_softmax(dim=-1), unconditional.log_softmax(dim=-1)
    kth = certain.topk(min(k, certain.shape[-1]), dim=-1).values[..., -1:]
    possible = certain > float("-inf")
    # Fewer than k ids may be legal; the smallest legal one then stands in for the k-th.
    smallest = certain.masked_fill(~possible, float("inf")).min(dim=-1, keepdim=True).values
    threshold = torch.maximum(kth, smallest) + torch.log(torch.tensor(max(alpha, 1e-30)))
    return (certain - vague).masked_fill(~possible | (certain < threshold), float("-inf"))


def ensemble(
    logits: Float[Tensor, "passes *samples vocab"], shares: Sequence[float] = ()
) -> Float[Tensor, "*samples vocab"]:
    """Log of the mean probability over passes that saw different documents (RA-CM3 §A), each
    counting as much as its share says where there are any."""
    counts = torch.tensor(shares or [1 / len(logits)] * len(logits), device=logits.device)
    each = counts.log().view(-1, *[1] * (logits.dim() - 1))
    return (logits.log_softmax(dim=-1) + each).logsumexp(dim=0)


def weigh(
    streams: Float[Tensor, "streams *samples vocab"],
    without: Float[Tensor, "documents *samples vocab"],
    weights: Sequence[float],
) -> Float[Tensor, "streams *samples vocab"]:
    """Guidance toward what was read: l + sum_i (w_i - 1) (l - l_i), where l_i has not read document
    i, or none of them. Weight 0 of the only document is not reading it."""
    if not weights:
        return streams
    full = streams[0]
    moved = full + sum((w - 1) * (full - one) for w, one in zip(weights, without, strict=True))
    return torch.cat([moved[None], streams[1:]])


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How streams are combined. Streams come pass by pass: conditional, then unconditional.

    Args:
        weight: Guidance weight; 1 uses the conditional stream alone.
        keep_documents: Whether the unconditional stream still reads the documents.
        image_weight: For editing, the weight toward the picture (a third stream).
        documents: How much each consulted document counts, best first: 1 as usual, 0 not at all,
            2 twice as much (a stream for each of them); empty for all as usual.
        context_weight: What is usual: how much consulted documents count, against the same prompt
            without them (context-aware decoding, Shi et al. 2023, whose alpha is this less 1). 1
            uses what the generator says when it has read them, and nothing else.
        caption_weight: The weight where words are said (captions, gaps in texts); None is `weight`.
        pass_temperature: Where more than two documents are read, two at a time: the temperature of
            the softmax over what the documents of each pass score together, by which the pass
            counts (REPLUG, Shi et al. 2024). None counts all passes alike, as RA-CM3 §A does.
    """

    weight: float = 1.0
    keep_documents: bool = True
    image_weight: float | None = None
    documents: tuple[float, ...] = ()
    context_weight: float = 1.0
    caption_weight: float | None = None
    pass_temperature: float | None = None

    def __post_init__(self) -> None:
        if self.pass_temperature is not None and self.pass_temperature <= 0:
            raise ConfigError("pass_temperature is above 0; leave it away to count passes alike")

    def shares(self, passes: Sequence[Sequence[float | None]]) -> tuple[float, ...]:
        """How much each pass counts, by the scores of its documents; empty for all alike, as where
        a document has no score."""
        known = [[score for score in one if score is not None] for one in passes]
        if self.pass_temperature is None or len(known) < 2 or list(passes) != known:
            return ()
        together = torch.tensor([sum(one) for one in known], dtype=torch.float64)
        return tuple((together / self.pass_temperature).softmax(dim=0).tolist())

    @property
    def saying(self) -> "Guidance":
        """The same where words are said."""
        if self.caption_weight is None:
            return self
        return replace(self, weight=self.caption_weight, caption_weight=None)

    @property
    def left_out(self) -> tuple[float, ...]:
        """The weights of what the last streams of a pass have not read."""
        if self.documents:
            return tuple(weight * self.context_weight for weight in self.documents)
        return (self.context_weight,) if self.context_weight != 1.0 else ()

    def streams(self, sampling: Sampling) -> int:
        """How many streams a pass has, those that leave something out not counted."""
        if self.image_weight is not None:
            return 3
        return 2 if self.weight != 1.0 or sampling.strategy != "top_p" else 1

    def combine(
        self,
        logits: Float[Tensor, "streams *samples vocab"],
        sampling: Sampling,
        legal: Bool[Tensor, "*samples vocab"],
        shares: Sequence[float] = (),
    ) -> Float[Tensor, "*samples vocab"]:
        """Scores of legal ids; -inf elsewhere. `shares` says how much each pass counts."""
        count, weights = self.streams(sampling), self.left_out
        per_pass = logits.unflatten(0, (-1, count + len(weights)))
        weighed = [weigh(one[:count], one[count:], weights) for one in per_pass]
        passes = torch.stack([self._one(streams, sampling, legal) for streams in weighed])
        return passes[0] if len(passes) == 1 else ensemble(passes, shares)

    def _one(self, streams: Tensor, sampling: Sampling, legal: Tensor) -> Tensor:
        if len(streams) == 1:
            return streams[0].masked_fill(~legal, float("-inf"))
        if self.image_weight is not None:
            guided = guide_twice(
                streams[0],
                streams[1],
                streams[2],
                image_weight=self.image_weight,
                text_weight=self.weight,
            )
            return guided.masked_fill(~legal, float("-inf"))
        guided = guide(streams[0], streams[1], self.weight).masked_fill(~legal, float("-inf"))
        if sampling.strategy == "top_p":
            return guided
        sharp = contrastive(
            streams[0], streams[1], k=sampling.cd_k, alpha=sampling.cd_alpha, legal=legal
        )
        if sampling.strategy == "cd_k":
            return sharp
        odd = torch.arange(len(guided), device=guided.device) % 2
        return torch.where(odd.view(-1, *[1] * (guided.dim() - 1)) == 0, guided, sharp)
