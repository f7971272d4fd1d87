"""What is minimised: next-token loss on the main document plus alpha of it on the others."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from racm3.tokens.context import MAIN, Packed

# Places whose logits are there at once where they are not kept.
PIECE = 1024


class Batch(NamedTuple):
    """A packed batch as tensors; `main` and `retrieved` say how much counts what is predicted
    at each place. `ids` are those that are read."""

    ids: Int[Tensor, "rows seq"]
    positions: Int[Tensor, "rows seq"]
    sample: Int[Tensor, "rows seq"]
    targets: Int[Tensor, "rows seq"]
    main: Float[Tensor, "rows seq"]
    retrieved: Float[Tensor, "rows seq"]

    def weight(self, alpha: float) -> Float[Tensor, "rows seq"]:
        return self.main + alpha * self.retrieved


def batch(packed: Packed, device: torch.device) -> Batch:
    """Inputs and next-id targets; nothing is predicted across samples or into padding."""
    ids, sample = packed.ids, packed.sample
    targets = np.concatenate([ids[:, 1:], ids[:, :1]], axis=1)
    same = np.zeros(ids.shape, dtype=bool)
    same[:, :-1] = (sample[:, 1:] == sample[:, :-1]) & (sample[:, 1:] >= 0)
    learn = np.zeros(ids.shape, dtype=np.float32)
    learn[:, :-1] = packed.learn[:, 1:]
    source = np.concatenate([packed.source[:, 1:], packed.source[:, :1]], axis=1)
    arrays = (packed.read, packed.position, sample, targets)
    learn *= same
    counts = (learn * (source == MAIN), learn * (source > MAIN))
    return Batch(*(torch.from_numpy(a).to(device) for a in (*arrays, *counts)))


class Losses(NamedTuple):
    """Sums, so that micro-batches and ranks add up before anything is divided."""

    summed: Float[Tensor, ""]
    weight: Float[Tensor, ""]


def objective(
    logits: Float[Tensor, "rows seq vocab"],
    targets: Int[Tensor, "rows seq"],
    weight: Float[Tensor, "rows seq"],
    *,
    z_loss: float = 0.0,
) -> Losses:
    """RA-CM3 Eq. 2, with Chameleon's z-loss (arXiv 2405.09818 §2.3.1) where it is asked for."""
    nll = token_nll(logits, targets)
    if z_loss:
        nll = nll + z_loss * logits.float().logsumexp(dim=-1).square()
    return Losses((nll * weight).sum(), weight.sum())


def summed_in_pieces(
    hidden: Float[Tensor, "rows seq width"],
    head: Float[Tensor, "vocab width"],
    targets: Int[Tensor, "rows seq"],
    weight: Float[Tensor, "rows seq"],
    *,
    z_loss: float = 0.0,
) -> Float[Tensor, ""]:
    """The objective's sum, of logits that are there for a piece of the batch at a time; the
    backward pass makes them again. `F.linear_cross_entropy` in chunks knows no z-loss."""

    def piece(h: Tensor, t: Tensor, w: Tensor) -> Tensor:
        return objective(F.linear(h, head)[None], t[None], w[None], z_loss=z_loss).summed

    whole = (hidden.flatten(0, 1), targets.flatten(), weight.flatten())
    pieces = zip(*(one.split(PIECE) for one in whole), strict=True)
    summed = [checkpoint(piece, *parts, use_reentrant=False) for parts in pieces]
    return torch.stack(summed).sum()


def token_nll(
    logits: Float[Tensor, "rows seq vocab"], targets: Int[Tensor, "rows seq"]
) -> Float[Tensor, "rows seq"]:
    """Negative log-likelihood of every target, in nats."""
    flat = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none")
    return flat.view(targets.shape)
