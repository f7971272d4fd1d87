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
    written in place.

    What prompts share is held once, whatever the number of candidates and streams. Where there is
    one candidate nothing is gained by that: what it has read stands before what it says, and
    attention is one kernel.
    """

    def __init__(
        self, model: Transformer, chains: Sequence[Sequence[Chunk]], samples: int, longest: int
    ) -> None:
        config, weight = model.config, model.embed_tokens.weight
        self.samples, self.rows = samples, len(chains) * samples
        read = [list(zip(*(chunk.layers for chunk in chain), strict=True)) for chain in chains]
        before = [[Block.joined(blocks) for blocks in one] if samples == 1 else [] for one in read]
        self.shared = [one if samples > 1 else [()] * config.depth for one in read]
        self.starts = [one[0].keys.shape[2] if one else 0 for one in before]
        self.own = [
            weight.new_zeros(
                config.depth, 2, samples, config.key_heads, start + longest, config.per_head
            )
            for start in self.starts
        ]
        for own, start, layers in zip(self.own, self.starts, before, strict=True):
            for number, block in enumerate(layers):
                own[number, :, :, :, :start] = torch.stack(block)

    def attend(self, model: Transformer, number: int, new: Projected, at: int) -> Tensor:
        """Attention of one layer, stream by stream, after writing the new keys and values."""
        attention, mixed = model.layers[number].self_attn, []
        for stream, (own, start) in enumerate(zip(self.own, self.starts, strict=True)):
            rows = slice(stream * self.samples, (stream + 1) * self.samples)
            keys, values = own[number, :, :, :, : start + at + 1]
            keys[:, :, -1:], values[:, :, -1:] = new.key[rows], new.value[rows]
            blocks = [*self.shared[stream][number], Block(keys, values)]
            mixed.append(attention.over_blocks(new.query[rows], blocks))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def step(
    model: Transformer,
    caches: Sequence[Cache],
    ids: Int[Tensor, " rows"],
    positions: Int[Tensor, " rows"],
    at: Sequence[int],
) -> Float[Tensor, "rows width"]:
    """Several answers one id further: linear maps for all rows together, attention for each.

    Rows are the candidates, stream by stream, answer by answer; `at` counts what each answer has
    said before.
    """
    ids, positions = ids[:, None], positions[:, None]
    by, x = model.rotation(positions), model.embed(ids, positions)
    sizes = [cache.rows for cache in caches]
    for number, layer in enumerate(model.layers):
        projected = layer.self_attn.project(layer.input_layernorm(x), by)
        theirs = [part.split(sizes) for part in projected]
        mixed = [
            cache.attend(model, number, Projected(*(part[n] for part in theirs)), at[n])
            for n, cache in enumerate(caches)
        ]
        x = x + (mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return model.norm(x[:, 0])
