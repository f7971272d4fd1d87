"""Two processes under `torchrun` against one: the same weights on both, the same loss as alone."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from racm3.errors import ConfigError
from racm3.model.export import open_generator
from racm3.system import RACM3
from racm3.tokens.context import Packed
from racm3.training import checkpoint
from racm3.training.checkpoint import under
from racm3.training.generator import GeneratorTraining
from tests.training.ranks import MET
from tests.training.test_training import weights
from tests.training.tiny import learner, material

ROOT = Path(__file__).parents[2]


def torchrun(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine's loopback, whatever its name resolves to."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": loopback}
    here = ["--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *here, "-m", module, *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def together(module: str, *arguments: str, met: Path) -> None:
    """Processes that could not reach each other are started anew, twice at most, a while later: the
    network of a busy machine may refuse them. Once they have met, which a file tells, whatever
    fails, fails."""
    for pause in (0, 5, 20):
        time.sleep(pause)
        done = torchrun(module, *arguments)
        if done.returncode == 0 or met.exists():
            break
    assert done.returncode == 0, done.stderr


def ranks(place: Path, what: str) -> None:
    together("tests.training.ranks", str(place), what, met=place / MET)


@pytest.mark.parametrize("what", ["copies", "shard", "again"])
def test_two_ranks_learn_what_one_process_learns_from_both_shares(tmp_path, what):
    ranks(tmp_path, what)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    batches = [Packed(*map(np.asarray, one["batch"])) for one in found]
    alone = learner(material())
    joined = Packed(*(np.concatenate(pair) for pair in zip(*batches, strict=True)))
    alone.stream = iter([joined])  # type: ignore[assignment]
    loss = alone.learn_from(0)["loss"]
    assert found[0]["loss"] == found[1]["loss"] == pytest.approx(loss, rel=1e-5)
    for name, parameter in alone.model.state_dict().items():
        mine, theirs = (one["model"][f"model.{name}"] for one in found)
        torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(mine, parameter, atol=2e-5, rtol=1e-3)
    every = sum(p.numel() for p in alone.model.parameters())
    assert found[0]["held"] == (every if what == "copies" else every // 2)


def test_a_sharded_run_resumes_to_the_same_bytes_and_opens_anywhere(tmp_path):
    ranks(tmp_path, "halves")
    assert weights(tmp_path / "whole") == weights(tmp_path / "halves")
    opened = open_generator(tmp_path / "whole" / "final").state_dict()
    saved = under("model", checkpoint.load(checkpoint.steps(tmp_path / "whole")[-1]).tensors)
    assert {name: tensor.shape for name, tensor in saved.items()} == {
        name: tensor.shape for name, tensor in learner(material()).model.state_dict().items()
    }
    for name, tensor in saved.items():
        torch.testing.assert_close(opened[name], tensor, atol=0, rtol=0)


def test_the_command_shares_its_work_and_writes_it_once(tmp_path):
    """README's `torchrun -m racm3 train generator`, with codes and words of the sample system."""
    codec, made = RACM3.open("sample").parts.codec, material()
    made.about |= {"text_size": len(codec.text), "codebook_size": codec.image.codes}
    made.save(tmp_path / "prepared")
    size = "--model.width 16 --model.depth 1 --model.heads 2"
    rows = "--stream.rows 2 --stream.length 160 --loop.steps 3"
    line = f"train generator {tmp_path}/prepared --out {tmp_path}/ra {size} {rows}"
    together("racm3", *line.split(), met=tmp_path / "ra" / "log.jsonl")
    lines = map(json.loads, (tmp_path / "ra" / "log.jsonl").read_text().splitlines())
    assert [one["step"] for one in lines if one["kind"] == "train"] == [1, 2, 3]
    saved = checkpoint.load(checkpoint.steps(tmp_path / "ra")[-1])
    assert saved.about["learner"]["world"] == 2
    assert saved.about["learner"]["training"]["steps"] == 3, "as long as the run"
    assert len(open_generator(tmp_path / "ra" / "final").embed_tokens.weight) == len(
        codec.vocabulary
    )


def test_what_cannot_be_sliced_is_refused():
    with pytest.raises(ConfigError, match="torchrun"):
        learner(material(), shard=True)
    with pytest.raises(ConfigError, match="muon needs whole matrices"):
        GeneratorTraining(steps=1, shard=True, optimizer="muon")
