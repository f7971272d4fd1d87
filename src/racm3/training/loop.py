"""The one training loop: tokenizer, CLIP and generator are three learners that it drives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from racm3.errors import CheckpointError, ConfigError
from racm3.training import checkpoint
from racm3.training.telemetry import Telemetry


@runtime_checkable
class Learner(Protocol):
    """What can be trained. Batches are functions of the step, so the step is the bookmark."""

    def learn_from(self, step: int) -> dict[str, float]: ...

    def validate(self) -> dict[str, float]: ...

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, tensors: dict[str, Tensor]) -> None: ...

    def export(self, folder: Path) -> None: ...

    def describe(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train, and how often to look and to save.

    Args:
        steps: Updates in all.
        save_every: Updates between checkpoints.
        validate_every: Updates between validations.
        log_every: Updates between lines on the console (the log file has them all).
        keep: Checkpoints kept on disk.
        tensorboard: Also write TensorBoard events (needs `racm3[tensorboard]`).
        wandb: Also tell Weights & Biases, under this project (needs `racm3[wandb]`); WANDB_MODE
            =offline keeps it on this machine.
    """

    steps: int
    save_every: int = 200
    validate_every: int = 500
    log_every: int = 20
    keep: int = 2
    tensorboard: bool = False
    wandb: str | None = None

    def __post_init__(self) -> None:
        if min(self.steps, self.save_every, self.validate_every, self.log_every, self.keep) < 1:
            raise ConfigError(
                "steps, save_every, validate_every, log_every and keep are at least 1"
            )


def resume(learner: Learner, folder: Path) -> int:
    """Continue from the newest checkpoint, if there is one; the number of updates behind us."""
    found = checkpoint.steps(folder)
    if not found:
        return 0
    saved = checkpoint.load(found[-1])
    theirs, ours = saved.about.get("learner", {}), _plain(learner.describe())
    if theirs != ours:
        different = sorted(k for k in ours | theirs if ours.get(k) != theirs.get(k))
        raise CheckpointError(
            f"{found[-1]} was trained with other settings ({', '.join(different)}); "
            "train into a new folder, or give the settings it was started with"
        )
    learner.restore(saved.tensors)
    return saved.step


def train(learner: Learner, config: LoopConfig, folder: Path, *, rank: int = 0) -> None:
    """Update until `config.steps`; killed at any instant, the same call goes on where it was."""
    step = resume(learner, folder)
    with Telemetry(folder, config, start=step, quiet=rank > 0) as telemetry:
        while step < config.steps:
            losses = learner.learn_from(step)
            step += 1
            telemetry.report(step, losses)
            if step % config.validate_every == 0 or step == config.steps:
                telemetry.validated(step, learner.validate())
            if step % config.save_every == 0 or step == config.steps:
                save(learner, folder, step, config, rank=rank)
    learner.export(folder / "final")


def save(learner: Learner, folder: Path, step: int, config: LoopConfig, *, rank: int) -> None:
    tensors = learner.state()
    if rank == 0:
        checkpoint.save(folder, step, tensors, {"learner": _plain(learner.describe())})
        checkpoint.prune(folder, keep=config.keep)


def _plain(value: Any) -> Any:
    """As JSON would give it back: tuples become lists, paths become text."""
    import json

    return json.loads(json.dumps(value, default=str))
