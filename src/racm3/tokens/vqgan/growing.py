"""A finer codebook for a trained VQGAN, which old code each new one is heir to, and more to tell of
a code."""

from collections.abc import Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from racm3.errors import ConfigError
from racm3.runtime import torch_dice
from racm3.tokens.vqgan.model import VQGAN

AT_ONCE = 8192
DRAWN_AT_ONCE = 256
ROUNDS = 4
PULL = 0.5


def grown(
    vqgan: VQGAN, codes: int, pixels: Float[Tensor, "batch 3 height width"], *, seed: int = 0
) -> VQGAN:
    """The same VQGAN with `codes` codes, to go on learning.

    New codes are features of `pixels`, drawn by how far they are from the codes so far (k-means++,
    Arthur & Vassilvitskii 2007); four rounds of k-means on the sphere follow. Encoder and decoder
    stay as they are.

    Args:
        vqgan: A trained one.
        codes: How many codes there are to be, at least as many as now.
        pixels: Pictures to place the new ones by; cells should outnumber codes by far.
        seed: Decides the draws.

    Raises:
        ConfigError: There would be fewer codes than now.
    """
    old = vqgan.codebook.vectors.float()
    if codes < len(old):
        raise ConfigError(f"the codebook has {len(old)} codes already; {codes} would be fewer")
    dice = torch_dice(torch.device("cpu"), seed, 19)
    with torch.inference_mode():
        features = torch.cat([_cells(vqgan, some) for some in pixels.split(64)])
        vectors = old.clone()
        apart = _apart(features, vectors)
        while len(vectors) < codes:
            count = min(DRAWN_AT_ONCE, codes - len(vectors))
            new = features[torch.multinomial(apart, count, generator=dice)]
            vectors = torch.cat([vectors, new])
            apart = torch.minimum(apart, _apart(features, new))
        for _ in range(ROUNDS if len(vectors) > len(old) else 0):
            members = _nearest(features, vectors)
            sums = torch.zeros_like(vectors).index_add_(0, members, features)
            vectors = F.normalize(sums + PULL * vectors, dim=1)
    finer = VQGAN(replace(vqgan.config, codes=codes))
    state = {**vqgan.state_dict(), "codebook.vectors": vectors.clone()}
    if vqgan.details is not None:
        known = vqgan.details.weight.detach()
        heirs = _nearest(vectors[len(old) :], old)
        state["details.weight"] = torch.cat([known, known[heirs]])
    finer.load_state_dict(state)
    return finer


def detailed(vqgan: VQGAN, detail: int, *, seed: int = 0) -> VQGAN:
    """The same VQGAN whose codes have `detail` numbers more for its decoder; all of them are zero.

    Raises:
        ConfigError: They have another number of these already.
    """
    if vqgan.config.detail == detail:
        return vqgan
    if vqgan.config.detail:
        raise ConfigError(f"codes have {vqgan.config.detail} numbers for the decoder, not {detail}")
    state, dice = vqgan.state_dict(), torch_dice(torch.device("cpu"), seed, 23)
    known = state["decoder.0.weight"]
    unheard = known.new_empty(len(known), detail, *known.shape[2:])
    bound = (unheard[0].numel() + known[0].numel()) ** -0.5
    unheard.uniform_(-bound, bound, generator=dice)
    state["decoder.0.weight"] = torch.cat([known, unheard], dim=1)
    state["details.weight"] = known.new_zeros(vqgan.config.codes, detail)
    finer = VQGAN(replace(vqgan.config, detail=detail))
    finer.load_state_dict(state)
    return finer


def parents(
    old: VQGAN, new: VQGAN, batches: Iterable[Float[Tensor, "batch 3 height width"]]
) -> Int[Tensor, " codes"]:
    """For every new code the old one that most often stands where it stands.

    Learning moves codes, and the encoder with them, so neither numbers nor vectors say it. Where
    two are as frequent, or a code stands nowhere, the nearer vector decides.
    """
    near = new.codebook.vectors.float() @ old.codebook.vectors.float().T
    count = torch.zeros_like(near)
    with torch.inference_mode():
        for pixels in batches:
            at = (new.encode(pixels).flatten(), old.encode(pixels).flatten())
            count.index_put_(at, torch.ones(len(at[0])), accumulate=True)
    return (count + near / 4).argmax(dim=1)


def _cells(vqgan: VQGAN, pixels: Tensor) -> Float[Tensor, "cells dim"]:
    unit = F.normalize(vqgan.features(pixels).float(), dim=1)
    return rearrange(unit, "batch dim rows columns -> (batch rows columns) dim")


def _nearest(features: Tensor, vectors: Tensor) -> Int[Tensor, " cells"]:
    return torch.cat([(some @ vectors.T).argmax(dim=1) for some in features.split(AT_ONCE)])


def _apart(features: Tensor, vectors: Tensor) -> Float[Tensor, " cells"]:
    near = [(some @ vectors.T).amax(dim=1) for some in features.split(AT_ONCE)]
    return (1 - torch.cat(near)).clamp(min=0)
