import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from racm3.errors import CheckpointError, ConfigError
from racm3.runtime import autocast, multiplies_bf16
from racm3.tokens.context import Packed, pack
from racm3.tokens.placing import Placing
from racm3.training import checkpoint
from racm3.training import objective as objectives
from racm3.training.generator import GeneratorLearner, GeneratorTraining, begin_with_codes
from racm3.training.loop import LoopConfig, train
from racm3.training.objective import Batch, batch, objective
from racm3.training.schedule import learning_rate
from racm3.training.vqgan import edge_loss
from tests.conftest import tiny_generator
from tests.data.test_stream import VOCABULARY, prepared, stream  # noqa: F401
from tests.training.tiny import learner

ROOT = Path(__file__).parents[2]
LOGITS = torch.randn(2, 7, 11, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(0, 11, (2, 7), generator=torch.Generator().manual_seed(1))
MAIN = torch.tensor([[1, 1, 0, 0, 1, 1, 0]] * 2).bool()
RETRIEVED = torch.tensor([[0, 0, 1, 1, 0, 0, 0]] * 2).bool()


def loss(alpha: float, rows: slice = slice(None)) -> tuple[float, float]:
    weight = MAIN[rows].float() + alpha * RETRIEVED[rows].float()
    losses = objective(LOGITS[rows], TARGETS[rows], weight)
    return losses.summed.item(), losses.weight.item()


def test_alpha_zero_is_plain_language_modelling_of_the_main_document():
    summed, weight = loss(0.0)
    plain = F.cross_entropy(LOGITS[MAIN], TARGETS[MAIN])
    assert summed / weight == pytest.approx(plain.item(), rel=1e-6)


def test_codes_that_look_alike_begin_alike():
    model, vectors = (
        tiny_generator(60),
        F.normalize(LOGITS[0].new_tensor(np.random.default_rng(0).normal(size=(20, 8))), dim=-1),
    )
    before = model.embed_tokens.weight.data.clone()
    begin_with_codes(model, 40, vectors)
    after = model.embed_tokens.weight.data
    torch.testing.assert_close(after[:40], before[:40])
    centred = F.normalize(vectors - vectors.mean(0), dim=-1)
    alike, were, are = ((F.normalize(m, dim=-1) @ F.normalize(m, dim=-1).T).flatten() for m in (
        centred, before[40:], after[40:]))  # fmt: skip
    assert torch.corrcoef(torch.stack([alike, are]))[0, 1] > 0.6
    assert (
        torch.corrcoef(torch.stack([alike, are]))[0, 1]
        > (torch.corrcoef(torch.stack([alike, were]))[0, 1])
    )
    assert after[40:].std() == pytest.approx(before.std().item(), rel=0.5)


def test_precision_is_one_of_three_and_auto_asks_the_hardware():
    cpu = torch.device("cpu")
    with autocast(cpu, "auto"):
        assert torch.is_autocast_enabled("cpu") == multiplies_bf16(cpu)
    with pytest.raises(ConfigError, match="'auto' is expected"):
        autocast(cpu, "fp16")


def test_alpha_one_counts_every_id_alike():
    summed, weight = loss(1.0)
    both = MAIN | RETRIEVED
    plain = F.cross_entropy(LOGITS[both], TARGETS[both])
    assert summed / weight == pytest.approx(plain.item(), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
def test_how_the_batch_was_cut_changes_nothing(alpha):
    whole = loss(alpha)
    parts = [loss(alpha, slice(i, i + 1)) for i in range(2)]
    assert sum(s for s, _ in parts) == pytest.approx(whole[0], rel=1e-6)
    assert sum(w for _, w in parts) == pytest.approx(whole[1], rel=1e-6)


def test_the_z_loss_is_the_squared_log_normaliser():
    weight = MAIN.float()
    plain = objective(LOGITS, TARGETS, weight).summed
    with_z = objective(LOGITS, TARGETS, weight, z_loss=0.1).summed
    expected = 0.1 * (LOGITS.exp().sum(-1).log() ** 2 * weight).sum()
    torch.testing.assert_close(with_z - plain, expected)


def test_targets_never_cross_samples_nor_count_twice(prepared):  # noqa: F811
    samples = [stream(prepared).sample(i) for i in range(3)]
    one = batch(pack([samples], 400, Placing(VOCABULARY, 9)), torch.device("cpu"))
    expected = sum(int(s.learn[1:].sum()) for s in samples)
    assert int((one.main + one.retrieved).sum()) == expected
    assert not (one.main * one.retrieved).any()
    followed = (one.main + one.retrieved)[0, :-1] > 0
    assert torch.equal(one.targets[0, :-1][followed], one.ids[0, 1:][followed])


def test_warm_up_then_linear_decay():
    rates = [learning_rate(s, peak=1.0, warmup=4, steps=12) for s in range(12)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert rates[-1] == pytest.approx(1 / 8)


def kept(one: GeneratorLearner, rows: Batch) -> tuple[int, torch.Tensor]:
    """Bytes that wait for the backward pass, weights apart, and the loss."""
    found, weights = {}, {p.untyped_storage().data_ptr() for p in one.model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = one.summed_loss(rows, rows.weight(0.1))
    return sum(storage.nbytes() for storage in found.values()), loss


def test_computing_again_changes_memory_and_nothing_else(prepared, monkeypatch):  # noqa: F811
    monkeypatch.setattr(objectives, "PIECE", 50)
    plain, again = (learner(prepared, recompute=on, z_loss=1e-3) for on in (False, True))
    rows = batch(next(plain.stream), torch.device("cpu"))
    (much, loss), (little, same) = (kept(one, rows) for one in (plain, again))
    assert little < much / 4
    torch.testing.assert_close(loss, same)
    for one, total in ((plain, loss), (again, same)):
        total.backward()
        assert one.model.embed_tokens.weight.grad is not None
    for mine, theirs in zip(plain.model.parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_accumulating_micro_batches_is_one_large_batch(prepared):  # noqa: F811
    """Two micro-batches of two rows learn what one batch of the same four rows learns."""
    split = learner(prepared, accumulate=2)
    halves = [next(split.stream) for _ in range(2)]
    joined = Packed(*(np.concatenate(pair) for pair in zip(*halves, strict=True)))
    split.stream.seek(learner(prepared).stream.bookmark())
    whole = learner(prepared)
    whole.stream = iter([joined])  # type: ignore[assignment]
    assert split.learn_from(0)["loss"] == pytest.approx(whole.learn_from(0)["loss"], rel=1e-5)
    for a, b in zip(split.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-3)


def test_learning_lowers_the_loss(prepared, tmp_path):  # noqa: F811
    train(learner(prepared, steps=40, lr=1e-2), LoopConfig(steps=40, save_every=40), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, 41))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5


def weights(folder: Path) -> bytes:
    return (folder / "final" / "model.safetensors").read_bytes()


def test_killed_at_any_instant_it_resumes_to_the_same_bytes(tmp_path):
    """kill -9 twice, somewhere; the third run finishes what an undisturbed one would have."""
    script = [sys.executable, "-m", "tests.training.tiny"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    undisturbed = subprocess.run([*script, str(tmp_path / "a")], cwd=root, env=environment)
    assert undisturbed.returncode == 0
    for wanted in (3, 9):
        process = subprocess.Popen([*script, str(tmp_path / "b")], cwd=root, env=environment)
        while process.poll() is None and _logged(tmp_path / "b") < wanted:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "b" / "final").exists(), "the run ended before it could be killed"
    subprocess.run([*script, str(tmp_path / "b")], cwd=root, env=environment, check=True)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def _logged(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.read_text().count("\n") if log.exists() else 0


def test_two_runs_from_one_seed_are_the_same_bytes(prepared, tmp_path):  # noqa: F811
    for name in "ab":
        train(learner(prepared), LoopConfig(steps=6), tmp_path / name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_a_learner_without_a_schedule_is_refused(prepared):  # noqa: F811
    """Its rate would be nought."""
    with pytest.raises(ConfigError, match="say how many"):
        learner(prepared, steps=0)


def test_resuming_with_other_settings_is_refused(prepared, tmp_path):  # noqa: F811
    train(learner(prepared), LoopConfig(steps=2), tmp_path)
    with pytest.raises(CheckpointError, match=r"other settings \(training\)"):
        train(learner(prepared, alpha=0.3), LoopConfig(steps=4), tmp_path)


def test_a_half_written_checkpoint_is_never_seen(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"a": torch.ones(2)}, {})

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_json", power_cut)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, 2, {"a": torch.ones(2)}, {})
    assert [path.name for path in checkpoint.steps(tmp_path)] == ["step-00000001"]


def test_a_damaged_checkpoint_says_what_to_do(tmp_path):
    path = checkpoint.save(tmp_path, 1, {"a": torch.ones(2)}, {})
    (path / "state.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(CheckpointError, match="remove it to resume earlier"):
        checkpoint.load(path)


def test_divergence_stops_the_run(prepared, tmp_path):  # noqa: F811
    with pytest.raises(ConfigError, match="training has diverged"):
        train(learner(prepared, lr=1e30, clip=1e30), LoopConfig(steps=30), tmp_path)


def test_a_generator_of_another_vocabulary_is_refused(prepared):  # noqa: F811
    with pytest.raises(ConfigError, match="the generator has 7 ids"):
        learner(prepared, vocabulary=7)


def test_senseless_training_is_refused():
    with pytest.raises(ConfigError):
        GeneratorTraining(steps=1, alpha=-1)


def test_the_edge_loss_ignores_brightness_but_not_edges():
    image = torch.rand(1, 3, 16, 16)
    assert edge_loss(image, image + 0.3).item() == pytest.approx(0, abs=1e-6)
    assert edge_loss(image, image.flip(-1)).item() > 0.1


def test_wandb_is_told_offline_what_the_log_is_told(tmp_path, prepared, monkeypatch):  # noqa: F811
    wandb = pytest.importorskip("wandb", reason="needs racm3[wandb]")
    for name, value in {"MODE": "offline", "SILENT": "true", "DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    told, run = [], wandb.Run
    log = run.log
    monkeypatch.setattr(run, "log", lambda self, values, step: (
        told.append((step, values)), log(self, values, step=step)
    ))  # fmt: skip
    train(learner(prepared), LoopConfig(steps=3, save_every=3, wandb="tests"), tmp_path / "run")
    entries = [
        json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    ]
    assert [(step, values["train/loss"]) for step, values in told] == [
        (one["step"], one["loss"]) for one in entries
    ]
    assert list((tmp_path / "run").rglob("*.wandb"))


def test_tensorboard_is_told_what_the_log_is_told(tmp_path, prepared):  # noqa: F811
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(learner(prepared), LoopConfig(steps=4, save_every=4, tensorboard=True), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train/loss")
    logged = {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}
    assert {event.step: event.value for event in events} == pytest.approx(logged)


CURVES = """
import json, torch
from tests.training.tiny import learner, material
torch.set_num_threads(1)
ways = ({}, {"compile": True}, {"compile": True, "recompute": True})
runs = [learner(material(), **way) for way in ways]
print(json.dumps([[run.learn_from(step)["loss"] for step in range(3)] for run in runs]))
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_a_compiled_run_learns_the_same():
    # In a process of its own: the shape checks of this one cannot be traced.
    run = subprocess.run(
        [sys.executable, "-c", CURVES], capture_output=True, text=True, check=True, cwd=ROOT
    )
    plain, compiled, again = json.loads(run.stdout.splitlines()[-1])
    assert compiled == pytest.approx(plain, rel=1e-4)
    assert again == pytest.approx(plain, rel=1e-4)
    assert plain[0] != plain[1]
