"""Continuing prompts: every document is read once, candidates share what was read."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from racm3.errors import GenerationError
from racm3.generation.sampling import draw
from racm3.generation.step import Cache, Chunk, step
from racm3.generation.talk import Ids, Request, Said, Talk, Watcher
from racm3.model.attention import Block, causal_bias
from racm3.model.transformer import Transformer
from racm3.tokens.placing import Placing

# How many ids are guessed ahead, at most, and how many may be read at once because of it: on a CPU
# reading more ids in a step costs less than further steps only while they are few.
GUESSES, AT_ONCE = 8, 48


class Engine:
    """Continues prompts.

    Args:
        model: The generator; it is made ready for inference.
        placing: Where every id stands.
        guesses: How many ids are guessed ahead in a step, at most. They make answers come in fewer
            steps and change none of them, up to the rounding of larger matrix products.
    """

    def __init__(self, model: Transformer, placing: Placing, *, guesses: int = GUESSES) -> None:
        self.model = model.eval().fuse()
        self.placing, self.guesses = placing, guesses
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
        cache = Cache(self.model, chains, request.samples, request.longest + self.guesses)
        return Talk(request, cache, walks, hidden[:, :, None], watch)

    @torch.inference_mode()
    def choose(self, talk: Talk) -> bool:
        """Every candidate's next ids; whether the model is needed for more."""
        if talk.done:
            return False
        talk.hear(*self._choose(talk))
        return not talk.done

    @torch.inference_mode()
    def advance(self, talks: Sequence[Talk]) -> None:
        """Several answers further, together."""
        rows = sum(talk.cache.rows for talk in talks)
        count = max(1, min(1 + self.guesses, AT_ONCE // rows))
        ids, positions = list[list[int]](), list[list[int]]()
        for talk in talks:
            read = talk.ahead(count) * len(talk.request.streams)
            ids += read
            positions += [walk.ahead(some) for walk, some in zip(talk.walks, read, strict=True)]
        before = [[len(ids) - 1 for ids in talk.said] for talk in talks]
        caches = [talk.cache for talk in talks]
        hidden = step(self.model, caches, self._tensor(ids), self._tensor(positions), before)
        for talk, mine in zip(talks, hidden.split([c.rows for c in caches]), strict=True):
            talk.hidden = mine.unflatten(0, (-1, talk.request.samples))

    def _choose(self, talk: Talk) -> tuple[list[list[int]], list[list[float]]]:
        """For every candidate the id after each one that was read, and their log-probabilities;
        only ids that can be legal are scored at all."""
        request, told = talk.request, talk.told
        legal, columns = talk.scope(told)
        logits = (talk.hidden @ self._head(columns)).float()
        each = logits.shape[1:3]
        scores = request.guidance.combine(
            logits, request.sampling, legal.unflatten(0, each), request.shares
        )
        at = torch.tensor([min(len(ids), request.longest - 1) for ids in told])
        chosen = draw(scores, request.sampling, talk.throws.gather(1, at.view(each)))
        gained = scores.log_softmax(dim=-1).gather(-1, chosen[..., None])[..., 0]
        chosen_ids, gains = (chosen + columns.start).tolist(), gained.tolist()
        for row, ids in enumerate(told):
            forced = request.grammar.forced(ids)
            if forced is not None:
                sample, place = divmod(row, each[1])
                chosen_ids[sample][place], gains[sample][place] = forced, 0.0
        return chosen_ids, gains

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
            last.append(read[tuple(stream), tuple(positions)][1][-1])
        return chains, torch.stack(last)[:, None].expand(-1, samples, -1)

    def _prefill(
        self, ids: Ids, places: Ids, chain: Sequence[Chunk]
    ) -> tuple[Chunk, Float[Tensor, "ids width"]]:
        """Some ids after what has been read: what they leave to be read, what is made of them."""
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
        return Chunk(layers), model.norm(x[0])

    def _tensor(self, numbers: Sequence[Ids]) -> Int[Tensor, "rows ids"]:
        return torch.tensor(numbers, device=self.model.device)

    @torch.inference_mode()
    def scores(self, prompt: Ids, continuations: Iterable[Ids]) -> Iterator[Float[Tensor, " seq"]]:
        """What `score` says of each continuation, one after the other; the prompt is read once,
        together with the first of them."""
        before: Chunk | None = None
        for ids in continuations:
            whole = [*prompt, *ids[:-1]]
            places = self.placing.positions(whole)
            if before is None:
                read, hidden = self._prefill(whole, places, [])
                before, made = read.first(len(prompt)), hidden[len(prompt) - 1 :]
                last = made[:1]
            elif len(ids) > 1:
                after = self._prefill(ids[:-1], places[len(prompt) :], [before])[1]
                made = torch.cat([last, after])
            else:
                made = last
            logits = self.model.logits(made[: len(ids)]).float()
            targets = self._tensor([ids]).view(-1, 1)
            yield logits.log_softmax(dim=-1).gather(1, targets)[:, 0].cpu()

    @torch.inference_mode()
    def score(
        self, prompt: Ids, continuation: Ids, *, read: Ids | None = None
    ) -> Float[Tensor, " seq"]:
        """Log-probability of every id of a continuation, over the whole vocabulary.

        `read` stands in its place to be read, as where `half_hidden` hides what is said.
        """
        whole = [*prompt, *continuation]
        ids = torch.tensor([whole], device=self.model.device)
        shown = torch.tensor([[*prompt, *(read or continuation)]], device=self.model.device)
        positions = torch.tensor([self.placing.positions(whole)], device=self.model.device)
        logits = self.model(shown[:, :-1], positions[:, :-1])[0, len(prompt) - 1 :]
        targets = ids[0, len(prompt) :, None]
        return logits.float().log_softmax(dim=-1).gather(1, targets)[:, 0].cpu()


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
