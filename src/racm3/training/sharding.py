"""Weights and optimizer state in slices, one on each rank (FSDP2; ZeRO stage 3).

What torch needs for it takes most of a second to import, which only training should wait for.
"""

import torch.distributed as dist
from torch import Tensor

from racm3.errors import ConfigError
from racm3.model.transformer import Transformer


def shard(model: Transformer) -> None:
    """Slice every layer over the ranks; it is put together when its turn comes, and let go."""
    if not dist.is_initialized():
        raise ConfigError("there is nothing to shard over: start the command with torchrun")
    from torch.distributed.fsdp import fully_shard

    for layer in model.layers:
        fully_shard(layer)
    fully_shard(model)


def whole(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the slices are slices of, on the CPU; every rank must ask for it at once."""
    return {name: full(tensor).cpu() for name, tensor in tensors.items()}


def full(tensor: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def sliced(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor cut as another one is; a number without dimensions stays whole."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(like, DTensor) and tensor.shape == like.shape:
        return distribute_tensor(
            tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None
        )
    return tensor
