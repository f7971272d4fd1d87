"""The engine against its judge: reading everything again before every id."""

from dataclasses import replace

import pytest
import torch

from racm3.errors import GenerationError
from racm3.generation.constraints import Grammar, Interleaved, OneGrid, Place, Spans, SpanText
from racm3.generation.engine import Engine, _cuts
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import GREEDY, Sampling, draw, uniforms
from racm3.generation.talk import Request
from racm3.model.transformer import Transformer
from racm3.tokens.placing import Placing
from racm3.tokens.vocabulary import Vocabulary
from tests.conftest import tiny_generator

VOCABULARY = Vocabulary(30, 20)
MODEL = tiny_generator(len(VOCABULARY))
PLAIN = Placing(VOCABULARY, 9)
ALIGNED = Placing(VOCABULARY, 9, 16)
DOCUMENTS = [50, 3, 4, 5, 52, 31, 32, 52]
STREAMS = [[*DOCUMENTS, 7, 8, 52], [*DOCUMENTS, 54, 52], [50, 54, 52]]


def naive(model: Transformer, request: Request, placing: Placing = PLAIN) -> list[list[int]]:
    """Every prompt is read whole again for every id of every candidate."""
    throws = uniforms(request.seed, request.samples, request.longest)
    said = []
    for sample in range(request.samples):
        ids: list[int] = []
        for step in range(request.longest):
            place = request.grammar.place(ids)
            if place is Place.DONE:
                break
            with torch.inference_mode():
                logits = torch.stack(
                    [
                        model(
                            torch.tensor([stream + ids]),
                            torch.tensor([placing.positions(stream + ids)]),
                        )[0, -1]
                        for stream in request.streams
                    ]
                )
            legal = request.grammar.legal(torch.tensor([place]))
            # CD-K alternates by candidate: put this one at its own row.
            rows = logits[:, None].expand(-1, sample + 1, -1)
            scores = request.guidance.combine(
                rows, request.sampling, legal.expand(sample + 1, -1), request.shares
            )[-1:]
            chosen = int(draw(scores, request.sampling, throws[sample : sample + 1, step]))
            forced = request.grammar.forced(ids)
            ids.append(chosen if forced is None else forced)
        said.append(ids)
    return said


def request(**changes: object) -> Request:
    base = Request(
        streams=STREAMS[:1],
        grammar=OneGrid(VOCABULARY, 9),
        longest=9,
        samples=1,
        sampling=GREEDY,
        guidance=Guidance(),
        seed=0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


GRAMMARS = [
    OneGrid(VOCABULARY, 9),
    SpanText(VOCABULARY, 7),
    Spans(VOCABULARY, [[None] * 3, [None] * 2]),
    Interleaved(VOCABULARY, 4, segments=2, longest=3),
]


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: type(grammar).__name__)
@pytest.mark.parametrize(
    ("streams", "guidance", "sampling"),
    [
        (1, Guidance(), GREEDY),
        (1, Guidance(), Sampling(top_p=0.9)),
        (2, Guidance(weight=3.0), GREEDY),
        (2, Guidance(weight=3.0), Sampling(temperature=0.7, top_k=6)),
        (2, Guidance(), Sampling(strategy="cd_k")),
        (2, Guidance(weight=2.0), Sampling(strategy="half")),
        (3, Guidance(weight=7.5, image_weight=1.5), Sampling()),
        (2, Guidance(context_weight=1.5), Sampling()),
        (3, Guidance(weight=2.0, context_weight=1.5), GREEDY),
    ],
)
def test_the_engine_says_what_reading_everything_again_says(grammar, streams, guidance, sampling):
    asked = request(
        streams=STREAMS[:streams], grammar=grammar, longest=9, samples=3,
        guidance=guidance, sampling=sampling, seed=5,
    )  # fmt: skip
    assert [said.ids for said in Engine(MODEL, PLAIN).generate(asked)] == naive(MODEL, asked)


@pytest.mark.parametrize("shares", [(), (0.7, 0.2, 0.1)])
def test_an_ensemble_of_passes_says_what_the_naive_twin_says(shares):
    streams = [[50, i, 52, 7, 52] for i in range(3)]
    asked = request(streams=streams, samples=2, sampling=Sampling(), shares=shares)
    assert [said.ids for said in Engine(MODEL, PLAIN).generate(asked)] == naive(MODEL, asked)


def test_a_pass_that_counts_for_everything_is_the_only_one():
    streams = [[50, i, 52, 7, 52] for i in range(3)]
    sure = request(streams=streams, samples=2, sampling=Sampling(), shares=(0.0, 1.0, 0.0))
    alone = request(streams=streams[1:2], samples=2, sampling=Sampling())
    said, one = (
        [other.ids for other in Engine(MODEL, PLAIN).generate(ask)] for ask in (sure, alone)
    )
    assert said == one


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: type(grammar).__name__)
def test_aligned_positions_are_walked_as_they_are_read(grammar):
    masked = [*STREAMS[0], 54, 31, 32, 52, 50, 54]
    asked = request(
        streams=[masked, *STREAMS[1:]], grammar=grammar, longest=9, samples=3,
        sampling=Sampling(), guidance=Guidance(weight=2.0, image_weight=1.5),
    )  # fmt: skip
    said = [one.ids for one in Engine(MODEL, ALIGNED).generate(asked)]
    assert said == naive(MODEL, asked, ALIGNED)
    assert said != [one.ids for one in Engine(MODEL, PLAIN).generate(asked)]


def test_a_candidate_is_the_same_however_many_there_are():
    few = Engine(MODEL, PLAIN).generate(request(samples=2, sampling=Sampling()))
    many = Engine(MODEL, PLAIN).generate(request(samples=5, sampling=Sampling()))
    assert [said.ids for said in few] == [said.ids for said in many[:2]]
    assert len({tuple(said.ids) for said in many}) > 1


def echoing() -> Transformer:
    """A generator that mostly says what it has just said: its guesses come true."""
    model = tiny_generator(len(VOCABULARY), tied=True)
    model.embed_tokens.weight.data *= 8
    return model


@pytest.mark.parametrize("guesses", [0, 4])
@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize(
    "grammar",
    [
        OneGrid(VOCABULARY, 9),
        SpanText(VOCABULARY, 40),
        Spans(VOCABULARY, [[None] * 9, [None, 33, None], [None] * 6]),
        Interleaved(VOCABULARY, 9, segments=4, longest=6),
    ],
    ids=lambda grammar: type(grammar).__name__,
)
def test_guesses_save_steps_and_change_nothing(grammar, streams, guesses):
    model, steps = echoing(), list[int]()
    masked = [*STREAMS[0], 54, 31, 32, 52, 50, 54]
    asked = request(
        streams=[masked, STREAMS[1]][:streams], grammar=grammar, longest=40, samples=3, seed=3,
        sampling=Sampling(temperature=8.0), guidance=Guidance(weight=1.0 + streams // 2),
    )  # fmt: skip
    engine = Engine(model, ALIGNED, guesses=guesses)
    said = [
        one.ids for one in engine.generate(asked, lambda said: steps.append(max(map(len, said))))
    ]
    assert said == naive(model, asked, ALIGNED)
    longest = max(map(len, said))
    assert steps[-1] == longest
    assert len(steps) == longest if guesses == 0 else len(steps) < longest


def test_what_prompts_share_is_read_once():
    engine, read = Engine(MODEL, PLAIN), list[int]()
    prefill = engine._prefill

    def counting(ids, places, chain):
        read.append(len(ids))
        return prefill(ids, places, chain)

    engine._prefill = counting  # type: ignore[method-assign]
    engine.generate(
        request(streams=STREAMS, guidance=Guidance(weight=2, image_weight=1), samples=4)
    )
    together = {tuple(s[:n]) for s in STREAMS for n in range(1, len(s) + 1)}
    assert sum(read) == len(together)


def test_cuts_lie_where_prompts_part():
    assert _cuts(STREAMS[0], STREAMS) == [1, len(DOCUMENTS), len(STREAMS[0])]


def test_the_reported_probability_is_the_models():
    said = Engine(MODEL, PLAIN).generate(
        request(grammar=Anything(VOCABULARY), longest=5, sampling=GREEDY)
    )[0]
    expected = Engine(MODEL, PLAIN).score(STREAMS[0], said.ids).sum().item()
    assert said.log_probability == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("placing", [PLAIN, ALIGNED], ids=["plain", "aligned"])
def test_continuations_score_as_each_does_that_is_read_whole(placing):
    """Also where a picture is said after a marker, whose codes keep their places in the grid."""
    engine = Engine(MODEL, placing)
    prompt = [*DOCUMENTS, 54, 31, 32, 52, 50, 54]
    others = [[7, 8, 9, 51], [7], [31, 32, 33, 34, 52], [7, 8, 9, 10, 11, 51]]
    for ids, one in zip(others, engine.scores(prompt, others), strict=True):
        torch.testing.assert_close(one, engine.score(prompt, ids), atol=1e-5, rtol=1e-5)


def test_a_prompt_is_read_once_for_all_continuations():
    engine, read = Engine(MODEL, PLAIN), list[int]()
    prefill = engine._prefill
    engine._prefill = lambda ids, *rest: read.append(len(ids)) or prefill(ids, *rest)
    assert len([*engine.scores(STREAMS[0], [[7, 8], [9, 10, 11]])]) == 2
    assert read == [len(STREAMS[0]) + 1, 2]


class Anything(Grammar):
    """Everything is legal: then scores are the model's own probabilities."""

    def place(self, said):
        return Place.TEXT

    def legal(self, places):
        return torch.ones(len(places), len(VOCABULARY), dtype=torch.bool)


@pytest.mark.parametrize("seed", range(5))
def test_everything_said_is_legal(seed):
    grammar = Interleaved(VOCABULARY, 4, segments=3, longest=5)
    asked = request(grammar=grammar, longest=30, samples=4, seed=seed, sampling=Sampling(top_p=1.0))
    for said in Engine(MODEL, PLAIN).generate(asked):
        assert said.ids[-1] == VOCABULARY.end
        segments, open_ = [], []
        for id_ in said.ids[:-1]:
            if id_ == VOCABULARY.break_:
                segments.append(open_)
                open_ = []
            else:
                open_.append(id_)
        assert not open_
        assert 1 <= len(segments) <= 3
        for segment in segments:
            codes = [id_ in VOCABULARY.image for id_ in segment]
            assert not any(codes) or (all(codes) and len(codes) == 4)


def test_a_prompt_longer_than_the_context_is_refused():
    with pytest.raises(GenerationError, match="need 609 ids but the generator reads 512"):
        Engine(MODEL, PLAIN).generate(request(streams=[[1] * 600]))
