"""Causal self-attention within the samples of packed rows: no sample sees another."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Packing(NamedTuple):
    """The sample of each id, -1 for padding, every sample in one piece; `visible` says it to
    kernels that want a mask."""

    sample: Int[Tensor, "batch seq"]
    visible: Bool[Tensor, "batch 1 seq seq"] | None

    @classmethod
    def of(cls, sample: Int[Tensor, "batch seq"]) -> "Packing":
        return cls(sample, None if sample.is_cpu else packed_mask(sample))


def packed_mask(sample: Int[Tensor, "batch seq"]) -> Bool[Tensor, "batch 1 seq seq"]:
    """Causal within each sample; padding sees only padding, so that no row is empty."""
    seq = sample.shape[1]
    causal = torch.ones(seq, seq, dtype=torch.bool, device=sample.device).tril()
    return ((sample[:, :, None] == sample[:, None, :]) & causal)[:, None]


def attend(
    query: Float[Tensor, "batch heads seq dim"],
    key: Float[Tensor, "batch kvheads seq dim"],
    value: Float[Tensor, "batch kvheads seq dim"],
    packing: Packing | None,
) -> Float[Tensor, "batch heads seq dim"]:
    """Attention of whole rows, plainly causal where nothing is packed.

    On a CPU every sample is a kernel call of its own: what a mask would hide is never computed,
    so the length of a row costs nothing. Padding gets zeros there.
    """
    groups = query.shape[1] // key.shape[1]
    if packing is None or packing.visible is not None:
        visible = None if packing is None else packing.visible
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=visible,
            is_causal=visible is None,
            enable_gqa=groups > 1,
        )
    # Autocast knows `scaled_dot_product_attention` and not this; norms may have widened the two.
    query, key = query.to(value.dtype), key.to(value.dtype)
    if groups > 1:
        key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    return _one_by_one(query, key, value, packing.sample)[0]


def _samples(sample: Tensor) -> Iterator[tuple[slice, ...]]:
    """Where each sample lies in tensors of batch, heads, seq."""
    for row, numbers in enumerate(sample.numpy()):
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, stop in itertools.pairwise(edges):
            if numbers[start] >= 0:
                yield slice(row, row + 1), slice(None), slice(start, stop)


# An operation of its own, so that `torch.compile` need not know how many samples there are.
@torch.library.custom_op("racm3::attend_one_by_one", mutates_args=(), device_types="cpu")
def _one_by_one(query: Tensor, key: Tensor, value: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
    mixed, mass = _empty(query)
    mixed.zero_()
    mass.zero_()
    for here in _samples(sample):
        mixed[here], mass[here] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query[here], key[here], value[here], is_causal=True
        )
    return mixed, mass


@_one_by_one.register_fake
def _(query: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
    return _empty(query)


def _empty(query: Tensor) -> tuple[Tensor, Tensor]:
    """Heads next to each other in memory, as the kernel leaves them and the layer wants them."""
    batch, heads, seq, dim = query.shape
    mixed = query.new_empty(batch, seq, heads, dim).transpose(1, 2)
    wide = torch.promote_types(query.dtype, torch.float32)
    return mixed, query.new_empty(batch, seq, heads, dtype=wide).transpose(1, 2)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs, *output)


def _backward(ctx, grad: Tensor, _: Tensor):  # type: ignore[no-untyped-def]
    query, key, value, sample, mixed, mass = ctx.saved_tensors
    return *_one_by_one_backward(grad, query, key, value, sample, mixed, mass), None


@torch.library.custom_op("racm3::attend_one_by_one_backward", mutates_args=(), device_types="cpu")
def _one_by_one_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    sample: Tensor,
    mixed: Tensor,
    mass: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    grads = tuple(_empty(one)[0].zero_() for one in (query, key, value))
    for here in _samples(sample):
        parts = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            # In 32 bits the kernel takes a half to a sixth of its time in bf16 (docs/log.md).
            *(one[here].to(mass.dtype) for one in (grad, query, key, value, mixed, mass)),
            0.0,
            True,
        )
        for whole, part in zip(grads, parts, strict=True):
            whole[here] = part
    return grads[0], grads[1], grads[2]


@_one_by_one_backward.register_fake
def _(_grad: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
    return tuple(_empty(one)[0] for one in given[:3])


_one_by_one.register_autograd(_backward, setup_context=_remember)
