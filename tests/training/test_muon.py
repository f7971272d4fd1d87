"""Muon against singular values, against torch's own, and against being killed."""

import shutil

import pytest
import torch

from racm3.runtime import autocast
from racm3.training.generator import optimizers
from racm3.training.loop import LoopConfig, train
from racm3.training.muon import Muon, orthogonal
from tests.data.test_stream import prepared  # noqa: F401
from tests.training.test_training import weights
from tests.training.tiny import learner


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 5, 12), (2, 12, 5)])
def test_directions_stay_and_their_lengths_become_alike(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    kept = torch.einsum("nik,nij,nkj->nk", left, orthogonal(matrices), right)
    values = torch.linalg.svdvals(orthogonal(matrices))
    torch.testing.assert_close(kept.sort().values, values.sort().values, atol=1e-4, rtol=1e-4)
    assert values.min() > 0.3
    assert values.max() < 1.3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_moves_as_torchs_own_does(precision):
    mine, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 96).reshape(8, 12)) for _ in range(2))
    ours = Muon([mine], lr=0.02, weight_decay=0.1)
    reference = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(5):
        gradient = torch.randn(8, 12, generator=torch.Generator().manual_seed(step))
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()
        with autocast(torch.device("cpu"), precision):
            ours.step()
        reference.step()
    # torch's iteration runs in bfloat16, which knows three digits.
    torch.testing.assert_close(mine.data, theirs.data, atol=2e-3, rtol=2e-2)


def test_every_weight_has_one_optimizer_and_only_blocks_have_muon(prepared):  # noqa: F811
    taught = learner(prepared, optimizer="muon")
    groups = {
        name: [p for group in one.param_groups for p in group["params"]]
        for name, one in taught.optimizers.items()
    }
    every = [id(p) for some in groups.values() for p in some]
    assert sorted(every) == sorted(id(p) for p in taught.model.parameters())
    inside = {id(p) for p in taught.model.layers.parameters()}
    assert {id(p) for p in groups["muon"]} <= inside
    assert all(p.ndim == 2 for p in groups["muon"])
    assert set(optimizers(taught.model, learner(prepared).config)) == {"optimizer"}


def test_it_learns(prepared, tmp_path):  # noqa: F811
    taught = learner(prepared, optimizer="muon", lr=1e-2, steps=30)
    losses = [taught.learn_from(step)["loss"] for step in range(30)]
    assert sum(losses[-5:]) < sum(losses[:5]) - 2


def test_it_resumes_to_the_same_bytes(prepared, tmp_path):  # noqa: F811
    def run(folder: str, until: int) -> None:
        taught = learner(prepared, optimizer="muon", lr=1e-2, steps=6)
        train(taught, LoopConfig(steps=until, save_every=3), tmp_path / folder)

    run("whole", 6)
    run("halves", 3)
    shutil.rmtree(tmp_path / "halves" / "final")
    run("halves", 6)
    assert weights(tmp_path / "whole") == weights(tmp_path / "halves")
