"""Two processes under `torchrun` against one: the same weights on both, the same loss as alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from racm3.tokens.context import Packed
from tests.training.tiny import learner, material

ROOT = Path(__file__).parents[2]


def test_two_ranks_learn_what_one_process_learns_from_both_shares(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*command, "-m", "tests.training.ranks", str(tmp_path)],
        cwd=ROOT, env=environment, check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    batches = [Packed(*map(np.asarray, one["batch"])) for one in found]
    alone = learner(material())
    joined = Packed(*(np.concatenate(pair) for pair in zip(*batches, strict=True)))
    alone.stream = iter([joined])  # type: ignore[assignment]
    loss = alone.learn_from(0)["loss"]
    assert found[0]["loss"] == found[1]["loss"] == pytest.approx(loss, rel=1e-5)
    for name, parameter in alone.model.state_dict().items():
        torch.testing.assert_close(found[0]["model"][name], found[1]["model"][name])
        torch.testing.assert_close(found[0]["model"][name], parameter, atol=2e-5, rtol=1e-3)
