"""Continuing prompts: every document is read once, candidates share what was read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from racm3.errors import GenerationError
from racm3.generation.constraints import Grammar, Place
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling, draw, uniforms
from racm3.generation.step import Cache, Chunk, step
from racm3.model.attention import Block, causal_bias
from racm3.model.transformer import Transformer
from racm3.tokens.placing import Placing, Walk

Ids = Sequence[int]
Watcher = Callable[[list[list[int]]], None]


class Said(NamedTuple):
    """What one candidate said, and the log-probability that its scores gave to it."""

    ids: list[int]
    log_probability: float


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to continue and how.

    Args:
        streams: Prompts, pass by pass: conditional, then what guidance wants beside it.
        grammar: Which ids are legal where.
        longest: Most ids to say.
        samples: Number of candidates.
        sampling: How ids are drawn.
        guidance: How streams are combined.
        seed: Candidate n's dice depend on (seed, n) alone.
    """

    streams: list[list[int]]
    grammar: Grammar
    longest: int
    samples: int
    sampling: Sampling
    guidance: Guidance
    seed: int


class Talk:
    """One answer under way: what was read, what every candidate has said, and what comes next."""

    def __init__(
        self,
        request: Request,
        cache: Cache,
        walks: list[Walk],
        hidden: Tensor,
        watch: Watcher | None,
    ) -> None:
        self.request, self.cache, self.walks, self.hidden = request, cache, walks, hidden
        self.watch = watch
        self.throws = uniforms(request.seed, request.samples, request.longest)
        self.said: list[list[int]] = [[] for _ in range(request.samples)]
        self.totals = torch.zeros(request.samples, dtype=torch.float64)
        self.steps, self.last = 0, list[int]()
        self._scope: tuple[list[Place], Bool[Tensor, "samples some"], range] | None = None

    def scope(self, places: list[Place]) -> tuple[Bool[Tensor, "samples some"], range]:
        """Which ids are legal now, in the shortest range that holds all of these; where every
        candidate stands as it did, so do they."""
        if self._scope is None or self._scope[0] != places:
            legal = self.request.grammar.legal(torch.tensor(places))
            columns = reach(legal)
            legal = legal[:, columns.start : columns.stop].to(self.hidden.device)
            self._scope = places, legal, columns
        return self._scope[1:]

    @property
    def places(self) -> list[Place]:
        return [self.request.grammar.place(ids) for ids in self.said]

    def hear(self, places: list[Place], chosen: list[int], gained: Tensor) -> None:
        """Every candidate's next id."""
        self.totals += gained
        for ids, place, id_ in zip(self.said, places, chosen, strict=True):
            if place is not Place.DONE:
                ids.append(id_)
        self.steps, self.last = self.steps + 1, chosen
        if self.watch:
            self.watch(self.said)

    def result(self) -> list[Said]:
        return [
            Said(ids, total) for ids, total in zip(self.said, self.totals.tolist(), strict=True)
        ]


class Engine:
    def __init__(self, model: Transformer, placing: Placing) -> None:
        self.model = model.eval().fuse()
        self.placing = placing
        self._heads: dict[range, Tensor] = {}

    def generate(self, request: Request, watch: Watcher | None = None) -> list[Said]:
        """Candidates in order; `watch` sees what all of them have said after every step."""
        talk = self.begin(request, watch)
        while self.choose(talk):
            self.advance([talk])
        return talk.result()

    @torch.inference_mode()
    def begin(self, request: Request, watch: Watcher | None = None) -> Talk:
        """Read the prompts."""
        self._check(request)
        chains, hidden = self.read(request.streams, request.samples)
        walks = [
            self.placing.walk().read(stream)
            for stream in request.streams
            for _ in range(request.samples)
        ]
        cache = Cache(self.model, chains, request.samples, request.longest)
        return Talk(request, cache, walks, hidden, watch)

    @torch.inference_mode()
    def choose(self, talk: Talk) -> bool:
        """Every candidate's next id; whether the model is needed for more."""
        places = talk.places
        if all(place is Place.DONE for place in places):
            return False
        chosen, gained = self._choose(talk, places)
        talk.hear(places, chosen.tolist(), gained)
        return talk.steps < talk.request.longest

    @torch.inference_mode()
    def advance(self, talks: Sequence[Talk]) -> None:
        """Several answers one id further, together."""
        ids, positions = list[int](), list[int]()
        for talk in talks:
            said = talk.last * len(talk.request.streams)
            ids += said
            positions += [walk.step(id_) for walk, id_ in zip(talk.walks, said, strict=True)]
        at = [talk.steps - 1 for talk in talks]
        caches = [talk.cache for talk in talks]
        hidden = step(self.model, caches, self._tensor(ids), self._tensor(positions), at)
        for talk, mine in zip(talks, hidden.split([c.rows for c in caches]), strict=True):
            talk.hidden = mine.unflatten(0, (-1, talk.request.samples))

    def _choose(
        self, talk: Talk, places: list[Place]
    ) -> tuple[Int[Tensor, " samples"], Float[Tensor, " samples"]]:
        """Ids and their log-probabilities; only ids that can be legal now are scored at all."""
        request = talk.request
        legal, columns = talk.scope(places)
        logits = (talk.hidden @ self._head(columns)).float()
        scores = request.guidance.combine(logits, request.sampling, legal)
        chosen = draw(scores, request.sampling, talk.throws[:, talk.steps])
        gained = scores.double().log_softmax(dim=-1).gather(1, chosen[:, None])[:, 0].cpu()
        chosen += columns.start
        for sample, (ids, place) in enumerate(zip(talk.said, places, strict=True)):
            forced = request.grammar.forced(ids)
            if forced is not None:
                chosen[sample] = forced
            if forced is not None or place is Place.DONE:
                gained[sample] = 0.0
        return chosen, gained

    def _head(self, columns: range) -> Float[Tensor, "width some"]:
        """The output matrix of these ids, transposed: a row-major product reads it faster."""
        if columns not in self._heads:
            whole = self.model.head[columns.start : columns.stop]
            self._heads[columns] = whole.t().contiguous()
        return self._heads[columns]

    def _check(self, request: Request) -> None:
        needed = max(map(len, request.streams)) + request.longest
        if needed > self.model.config.context:
            raise GenerationError(
                f"the prompt and its continuation need {needed} ids but the generator reads "
                f"{self.model.config.context}; consult fewer documents or shorten the prompt"
            )
        if request.samples < 1 or request.longest < 1:
            raise GenerationError("at least one candidate and one id must be asked for")

    def read(
        self, streams: Sequence[Ids], samples: int
    ) -> tuple[list[list[Chunk]], Float[Tensor, "streams samples width"]]:
        """Read every prompt, what several of them begin with only once."""
        read: dict[tuple[tuple[int, ...], ...], tuple[Chunk, Tensor]] = {}
        chains, last = [], []
        for stream in streams:
            chain, start = list[Chunk](), 0
            positions = self.placing.positions(stream)
            for stop in _cuts(stream, streams):
                key = (tuple(stream[:stop]), tuple(positions[:stop]))
                if key not in read:
                    read[key] = self._prefill(stream[start:stop], positions[start:stop], chain)
                chain.append(read[key][0])
                start = stop
            chains.append(chain)
            last.append(read[tuple(stream), tuple(positions)][1])
        return chains, torch.stack(last)[:, None].expand(-1, samples, -1)

    def _prefill(
        self, ids: Ids, places: Ids, chain: Sequence[Chunk]
    ) -> tuple[Chunk, Float[Tensor, " width"]]:
        model = self.model
        tensor = torch.tensor([list(ids)], device=model.device)
        positions = torch.tensor([list(places)], device=model.device)
        by, x = model.rotation(positions), model.embed(tensor, positions)
        causal = causal_bias(len(ids), model.config.heads // model.config.key_heads, x)
        layers = []
        for number, layer in enumerate(model.layers):
            projected = layer.self_attn.project(layer.input_layernorm(x), by)
            new = Block(projected.key, projected.value)
            blocks = [*(chunk.layers[number] for chunk in chain), new]
            x = x + layer.self_attn.over_blocks(projected.query, blocks, causal)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
            layers.append(new)
        return Chunk(layers), model.norm(x[0, -1])

    def _tensor(self, numbers: Sequence[int]) -> Int[Tensor, " numbers"]:
        return torch.tensor(numbers, device=self.model.device)

    @torch.inference_mode()
    def score(self, prompt: Ids, continuation: Ids) -> Float[Tensor, " seq"]:
        """Log-probability of every id of a continuation, over the whole vocabulary."""
        whole = [*prompt, *continuation]
        ids = torch.tensor([whole], device=self.model.device)
        positions = torch.tensor([self.placing.positions(whole)], device=self.model.device)
        logits = self.model(ids[:, :-1], positions[:, :-1])[0, len(prompt) - 1 :]
        targets = ids[0, len(prompt) :, None]
        return logits.float().log_softmax(dim=-1).gather(1, targets)[:, 0].cpu()


def reach(legal: Bool[Tensor, "samples vocab"]) -> range:
    """The shortest range of ids that holds every legal one."""
    some = legal.any(dim=0).nonzero()
    return range(int(some[0]), int(some[-1]) + 1)


def _cuts(stream: Ids, streams: Sequence[Ids]) -> list[int]:
    """Where a prompt is cut so that beginnings shared with other prompts are read once."""
    shared = {_common(stream, other) for other in streams}
    return sorted({cut for cut in shared if cut} | {len(stream)})


def _common(one: Ids, other: Ids) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
