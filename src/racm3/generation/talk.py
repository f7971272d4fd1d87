"""An answer under way: what was asked, what every candidate has said, and guesses of the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from racm3.generation.constraints import Grammar, Place
from racm3.generation.guessing import Lookup
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling, uniforms
from racm3.generation.step import Cache
from racm3.tokens.placing import Walk

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
        shares: How much each pass counts; empty for all alike.
    """

    streams: list[list[int]]
    grammar: Grammar
    longest: int
    samples: int
    sampling: Sampling
    guidance: Guidance
    seed: int
    shares: tuple[float, ...] = ()


class Talk:
    """One answer under way.

    Attributes:
        said: What every candidate has said.
        read: For every candidate what the model has read since: the last id that it said, then
            guesses of the next ones.
        hidden: What the model makes of each of these; at first, of the end of every prompt.
        walks: Where the ids of every candidate stand, stream by stream.
    """

    def __init__(
        self,
        request: Request,
        cache: Cache,
        walks: list[Walk],
        hidden: Float[Tensor, "streams samples ids width"],
        watch: Watcher | None,
    ) -> None:
        self.request, self.cache, self.walks, self.hidden = request, cache, walks, hidden
        self.watch = watch
        self.throws = uniforms(request.seed, request.samples, request.longest)
        self.said: list[list[int]] = [[] for _ in range(request.samples)]
        self.read: list[list[int]] = [[] for _ in range(request.samples)]
        self.totals = [0.0] * request.samples
        lookup = Lookup(request.streams[0])
        self._lookups = [lookup.copy() for _ in range(request.samples)]
        self._done = [self._complete(ids) for ids in self.said]
        self._scope: tuple[list[Place], Bool[Tensor, "places some"], range] | None = None

    @property
    def done(self) -> bool:
        return all(self._done)

    def _complete(self, ids: Ids) -> bool:
        return len(ids) >= self.request.longest or self.request.grammar.place(ids) is Place.DONE

    @property
    def told(self) -> list[list[int]]:
        """Candidate by candidate, what it will have said before each id that comes next, where the
        guesses before that are right."""
        return [
            ids + read[1:stop]
            for ids, read in zip(self.said, self.read, strict=True)
            for stop in range(1, self.hidden.shape[2] + 1)
        ]

    def scope(self, told: Sequence[Ids]) -> tuple[Bool[Tensor, "places some"], range]:
        """Which ids are legal after each of these, in the shortest range that holds them all. After
        what is complete anything may be scored: it is not heard."""
        places = [self.request.grammar.place(ids) for ids in told]
        going = next(place for place in places if place is not Place.DONE)
        places = [going if place is Place.DONE else place for place in places]
        if self._scope is None or self._scope[0] != places:
            legal = self.request.grammar.legal(torch.tensor(places))
            columns = reach(legal)
            legal = legal[:, columns.start : columns.stop].to(self.hidden.device)
            self._scope = places, legal, columns
        return self._scope[1:]

    def ahead(self, count: int) -> list[list[int]]:
        """For every candidate `count` ids to be read next."""
        lookups = zip(self.said, self._lookups, strict=True)
        self.read = [[ids[-1], *lookup.guess(count - 1)] for ids, lookup in lookups]
        return self.read

    def hear(self, chosen: Sequence[Ids], gained: Sequence[Sequence[float]]) -> None:
        """What comes after each id that was read: a candidate says as many of these as it was
        guessed to say, and the first other one."""
        for number, ids in enumerate(self.said):
            read, before = self.read[number], len(ids)
            for at, (id_, gain) in enumerate(zip(chosen[number], gained[number], strict=True), 1):
                if self._done[number]:
                    break
                ids.append(id_)
                self.totals[number] += gain
                self._done[number] = self._complete(ids)
                if read[at : at + 1] != [id_]:
                    break
            self._lookups[number].hear(ids[before:])
            for walk in self.walks[number :: self.request.samples]:
                for id_ in read[: len(ids) - before]:
                    walk.step(id_)
        if self.watch:
            self.watch(self.said)

    def result(self) -> list[Said]:
        return [Said(ids, total) for ids, total in zip(self.said, self.totals, strict=True)]


def reach(legal: Bool[Tensor, "samples vocab"]) -> range:
    """The shortest range of ids that holds every legal one."""
    some = legal.any(dim=0).nonzero()
    return range(int(some[0]), int(some[-1]) + 1)
