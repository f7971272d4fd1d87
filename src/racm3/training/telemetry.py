"""What a training run says while it runs: a console line, a JSONL log, trackers on request."""

import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from racm3.errors import ConfigError

if TYPE_CHECKING:
    from racm3.training.loop import LoopConfig


class Telemetry:
    def __init__(self, folder: Path, config: "LoopConfig", *, start: int, quiet: bool) -> None:
        self.folder, self.config, self.quiet = folder, config, quiet
        self.start, self.began = start, time.perf_counter()

    def __enter__(self) -> "Telemetry":
        if not self.quiet:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._forget_after(self.start)
            self.log = (self.folder / "log.jsonl").open("a", encoding="utf-8")
            self.trackers = trackers(self.folder, self.config)
            if self.start:
                print(f"resuming after update {self.start}", file=sys.stderr)
        return self

    def __exit__(self, *error: object) -> None:
        if not self.quiet:
            self.log.close()
            for tracker in self.trackers:
                tracker.close()

    def _forget_after(self, step: int) -> None:
        """Drop log lines of updates that a crash has undone, so that no step is told twice."""
        path = self.folder / "log.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            path.write_text("".join(f"{line}\n" for line in kept))

    def report(self, step: int, losses: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in losses.values()):
            raise ConfigError(
                f"update {step} gave {losses}: training has diverged; resume with a lower "
                "learning rate, a longer warm-up or fp32"
            )
        if self.quiet:
            return
        self._write("train", step, losses)
        if step % self.config.log_every == 0 or step == self.config.steps:
            each = (time.perf_counter() - self.began) / (step - self.start)
            left = each * (self.config.steps - step)
            words = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
            pace = f"{each:.2f} s/update, {left / 60:.0f} min left"
            print(f"{step:>7}/{self.config.steps}  {words}  {pace}", file=sys.stderr, flush=True)

    def validated(self, step: int, scores: dict[str, float]) -> None:
        if self.quiet or not scores:
            return
        self._write("validation", step, scores)
        words = "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
        print(f"{step:>7}  validation  {words}", file=sys.stderr, flush=True)

    def _write(self, kind: str, step: int, values: dict[str, float]) -> None:
        seconds = round(time.perf_counter() - self.began, 2)
        entry = {"kind": kind, "step": step, "seconds": seconds, **values}
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()
        for tracker in self.trackers:
            tracker.tell({f"{kind}/{name}": value for name, value in values.items()}, step)


@runtime_checkable
class Tracker(Protocol):
    """Who is told what the log is told: TensorBoard, Weights & Biases."""

    def tell(self, values: dict[str, float], step: int) -> None: ...

    def close(self) -> None: ...


def trackers(folder: Path, config: "LoopConfig") -> list[Tracker]:
    found = list[Tracker]()
    if config.tensorboard:
        found.append(TensorBoard(folder))
    if config.wandb:
        found.append(Wandb(folder, config.wandb))
    return found


class TensorBoard:
    def __init__(self, folder: Path) -> None:
        self.writer = _tensorboard(folder)

    def tell(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """A run of the folder's name, resumed when training is."""

    def __init__(self, folder: Path, project: str) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                "Weights & Biases is not installed; `pip install -c constraints.txt racm3[wandb]`"
            ) from error
        self.run = wandb.init(
            project=project, name=folder.name, id=folder.name, resume="allow", dir=str(folder)
        )

    def tell(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def close(self) -> None:
        self.run.finish()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "TensorBoard is not installed; `pip install -c constraints.txt racm3[tensorboard]`"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))
