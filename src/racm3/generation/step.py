"""One more id for every candidate of every stream: the same shapes at every step of an answer."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.model.attention import Block, Rotation
from racm3.model.transformer import Transformer


class Chunk(NamedTuple):
    """Part of a prompt that has been read: a block of keys and values for every layer."""

    layers: list[Block]


class Step:
    """Keys and values of what is said are preallocated and written in place, so that a step is
    one fixed sequence of kernels: it can be compiled, or captured as a CUDA graph.

    What prompts share is held once, whatever the number of candidates and streams.
    """

    def __init__(
        self, model: Transformer, chains: Sequence[Sequence[Chunk]], samples: int, longest: int
    ) -> None:
        config = model.config
        self.model, self.chains, self.samples = model, chains, samples
        shape = (config.depth, len(chains), samples, config.key_heads, longest, config.per_head)
        weight = model.embed_tokens.weight
        self.keys = torch.zeros(shape, device=weight.device, dtype=weight.dtype)
        self.values = torch.zeros_like(self.keys)
        self.places = torch.arange(longest, device=weight.device)

    def __call__(
        self,
        ids: Int[Tensor, " rows"],
        positions: Int[Tensor, " rows"],
        at: Int[Tensor, "1"],
    ) -> Float[Tensor, "streams samples width"]:
        """Rows are the candidates stream by stream; `at` counts the ids said before."""
        model, streams = self.model, len(self.chains)
        by, x = model.rotation(positions[:, None]), model.embed_tokens(ids[:, None])
        future = torch.zeros_like(self.places, dtype=x.dtype)
        future = future.masked_fill(self.places > at, float("-inf"))[None]
        for number in range(len(model.layers)):
            x = self._layer(number, x, by, at, future)
        return model.norm(x[:, 0]).unflatten(0, (streams, self.samples))

    def _layer(self, number: int, x: Tensor, by: Rotation, at: Tensor, future: Tensor) -> Tensor:
        """Linear maps for all rows together, attention stream by stream."""
        layer = self.model.layers[number]
        query, key, value = layer.self_attn.project(layer.input_layernorm(x), by)
        shape = (len(self.chains), self.samples, *key.shape[1:])
        self.keys[number].index_copy_(3, at, key.reshape(shape))
        self.values[number].index_copy_(3, at, value.reshape(shape))
        mixed = []
        for stream, chain in enumerate(self.chains):
            rows = slice(stream * self.samples, (stream + 1) * self.samples)
            mine = Block(self.keys[number, stream], self.values[number, stream])
            blocks = [*(chunk.layers[number] for chunk in chain), mine]
            mixed.append(layer.self_attn.over_blocks(query[rows], blocks, future))
        x = x + (mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        return x + layer.mlp(layer.post_attention_layernorm(x))
