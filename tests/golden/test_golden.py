"""Stored values of a tiny run: they move only in a commit that says why."""

import json
from pathlib import Path

import pytest

from racm3.generation.constraints import OneGrid
from racm3.generation.engine import Engine
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import GREEDY
from racm3.generation.talk import Request
from tests.data.test_stream import VOCABULARY
from tests.training.tiny import learner, material

STORED = Path(__file__).with_name("tiny.json")


@pytest.fixture(scope="module")
def run() -> dict:
    one = learner(material(), steps=20, lr=1e-2)
    curve = [one.learn_from(step)["loss"] for step in range(20)]
    request = Request(
        streams=[[VOCABULARY.end, 1, 2, 3, VOCABULARY.break_]],
        grammar=OneGrid(VOCABULARY, 16),
        longest=16,
        samples=1,
        sampling=GREEDY,
        guidance=Guidance(),
        seed=0,
    )
    return {"curve": curve, "ids": Engine(one.model, one.stream.placing).generate(request)[0].ids}


def test_the_loss_curve_and_the_greedy_ids_have_not_moved(run, request):
    if request.config.getoption("--rewrite-golden"):
        STORED.write_text(json.dumps(run) + "\n")
    stored = json.loads(STORED.read_text())
    assert run["curve"] == pytest.approx(stored["curve"], rel=1e-5)
    assert run["ids"] == stored["ids"]
