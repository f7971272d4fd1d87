"""A few more ids for every candidate of every stream, each as far as it has come by itself."""

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

    def first(self, count: int) -> "Chunk":
        """Its first ids, as if nothing had been read after them."""
        return Chunk([Block(*(part[:, :, :count] for part in block)) for block in self.layers])


class Reach(NamedTuple):
    """Where new ids of every candidate are written, and what they see of what was said."""

    places: Int[Tensor, "samples 1 ids 1"]
    stop: int
    bias: Float[Tensor, "samples 1 queries said"] | None


class Cache:
    """What one answer has read and said. Keys and values of what is said are preallocated and
    written in place; what turns out not to have been said is written over.

    What prompts share is held once, whatever the number of candidates and streams. Where there is
    one candidate nothing is gained by that: what it has read stands before what it says, and
    attention is one kernel.
    """

    def __init__(
        self, model: Transformer, chains: Sequence[Sequence[Chunk]], samples: int, room: int
    ) -> None:
        config, weight = model.config, model.embed_tokens.weight
        self.samples, self.rows = samples, len(chains) * samples
        self.groups = config.heads // config.key_heads
        read = [list(zip(*(chunk.layers for chunk in chain), strict=True)) for chain in chains]
        before = [[Block.joined(blocks) for blocks in one] if samples == 1 else [] for one in read]
        self.shared = [one if samples > 1 else [()] * config.depth for one in read]
        self.starts = [one[0].keys.shape[2] if one else 0 for one in before]
        self.own = [
            weight.new_zeros(
                config.depth, 2, samples, config.key_heads, start + room, config.per_head
            )
            for start in self.starts
        ]
        for own, start, layers in zip(self.own, self.starts, before, strict=True):
            for number, block in enumerate(layers):
                own[number, :, :, :, :start] = torch.stack(block)

    def reach(self, at: Sequence[int], count: int) -> list[Reach]:
        """For every stream, where `count` new ids stand after the `at` that each candidate has
        said, and what they may look at."""
        device, found = self.own[0].device, list[Reach]()
        told = torch.tensor(at, device=device)[:, None] + torch.arange(count, device=device)
        for start in self.starts:
            places, stop = start + told, start + max(at) + count
            bias = None
            if count > 1 or min(at) < max(at):
                future = torch.arange(stop, device=device) > places[..., None]
                bias = self.own[0].new_zeros(future.shape).masked_fill_(future, float("-inf"))
                bias = bias.repeat(1, self.groups, 1)[:, None]
            found.append(Reach(places[:, None, :, None], stop, bias))
        return found

    def attend(
        self, model: Transformer, number: int, new: Projected, reach: Sequence[Reach]
    ) -> Float[Tensor, "rows ids width"]:
        """Attention of one layer, stream by stream, after writing the new keys and values."""
        attention, mixed = model.layers[number].self_attn, []
        for stream, (own, (places, stop, bias)) in enumerate(zip(self.own, reach, strict=True)):
            rows = slice(stream * self.samples, (stream + 1) * self.samples)
            for cached, fresh in zip(own[number], (new.key[rows], new.value[rows]), strict=True):
                cached.scatter_(2, places.expand_as(fresh), fresh)
            said = Block(*own[number, :, :, :, :stop])
            blocks = [*self.shared[stream][number], said]
            mixed.append(attention.over_blocks(new.query[rows], blocks, bias))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)


def step(
    model: Transformer,
    caches: Sequence[Cache],
    ids: Int[Tensor, "rows ids"],
    positions: Int[Tensor, "rows ids"],
    at: Sequence[Sequence[int]],
) -> Float[Tensor, "rows ids width"]:
    """Several answers some ids further: linear maps for all rows together, attention for each.

    Rows are the candidates, stream by stream, answer by answer; `at` counts what each candidate of
    each answer has said before.
    """
    by, x = model.rotation(positions), model.embed(ids, positions)
    sizes = [cache.rows for cache in caches]
    reach = [cache.reach(told, ids.shape[1]) for cache, told in zip(caches, at, strict=True)]
    for number, layer in enumerate(model.layers):
        projected = layer.self_attn.project(layer.input_layernorm(x), by)
        theirs = [part.split(sizes) for part in projected]
        mixed = [
            cache.attend(model, number, Projected(*(part[n] for part in theirs)), reach[n])
            for n, cache in enumerate(caches)
        ]
        x = x + (mixed[0] if len(mixed) == 1 else torch.cat(mixed))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return model.norm(x)
