"""One more id for every candidate of every stream: the same shapes at every step of an answer."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.model.attention import Block, Projected
from racm3.model.transformer import Transformer


class Chunk(NamedTuple):
    """Part of a prompt that has been read: a block of keys and values for every layer."""

    layers: list[Block]


class Cache:
    """What one answer has read and said. Keys and values of what is said are preallocated and
    written in place, so that a step is one fixed sequence of kernels: it can be compiled, or
    captured as a CUDA graph.

    What prompts share is held once, whatever the number of candidates and streams.
    """

    def __init__(
        self, model: Transformer, chains: Sequence[Sequence[Chunk]], samples: int, longest: int
    ) -> None:
        config = model.config
        self.chains, self.samples, self.rows = chains, samples, len(chains) * samples
        shape = (config.depth, len(chains), samples, config.key_heads, longest, config.per_head)
        weight = model.embed_tokens.weight
        self.keys = torch.zeros(shape, device=weight.device, dtype=weight.dtype)
        self.values = torch.zeros_like(self.keys)
        self.places = torch.arange(longest, device=weight.device)

    def future(self, at: Tensor) -> Tensor:
        """0 where something has been said, -inf where not yet; the same for every layer."""
        bias = torch.zeros_like(self.places, dtype=self.keys.dtype)
        return bias.masked_fill(self.places > at, float("-inf"))[None]

    def attend(
        self, model: Transformer, number: int, new: Projected, at: Tensor, future: Tensor
    ) -> Tensor:
        """Attention of one layer, stream by stream, after writing the new keys and values."""
        shape = (len(self.chains), self.samples, *new.key.shape[1:])
        self.keys[number].index_copy_(3, at, new.key.reshape(shape))
        self.values[number].index_copy_(3, at, new.value.reshape(shape))
        attention, mixed = model.layers[number].self_attn, []
        for stream, chain in enumerate(self.chains):
            rows = slice(stream * self.samples, (stream + 1) * self.samples)
            mine = Block(self.keys[number, stream], self.values[number, stream])
            blocks = [*(chunk.layers[number] for chunk in chain), mine]
            mixed.append(attention.over_blocks(new.query[rows], blocks, future))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def step(
    model: Transformer,
    caches: Sequence[Cache],
    ids: Int[Tensor, " rows"],
    positions: Int[Tensor, " rows"],
    at: Int[Tensor, " caches"],
) -> Float[Tensor, "rows width"]:
    """Several answers one id further: linear maps for all rows together, attention for each.

    Rows are the candidates, stream by stream, answer by answer; `at` counts what each answer has
    said before.
    """
    ids, positions = ids[:, None], positions[:, None]
    by, x = model.rotation(positions), model.embed(ids, positions)
    sizes, counts = [cache.rows for cache in caches], at.split(1)
    futures = [cache.future(count) for cache, count in zip(caches, counts, strict=True)]
    for number, layer in enumerate(model.layers):
        projected = layer.self_attn.project(layer.input_layernorm(x), by)
        theirs = [part.split(sizes) for part in projected]
        mixed = [
            cache.attend(
                model, number, Projected(*(part[n] for part in theirs)), counts[n], futures[n]
            )
            for n, cache in enumerate(caches)
        ]
        x = x + (mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return model.norm(x[:, 0])
