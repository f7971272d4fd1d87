"""The machine underneath: devices, precision, seeds, files written whole, progress on a console."""

import atexit
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, is_dataclass
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from racm3.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Configuration = TypeVar("Configuration")
Made = TypeVar("Made")
# Seconds between two lines of progress where there is no terminal.
LOGGED_EVERY = 30.0
# Threads that decode and resize: a picture of a phone takes 36 MB of each.
MOST_THREADS = 8


def device(name: str = "auto") -> "torch.device":
    """The device to compute on: a CUDA card where there is one, unless told otherwise."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} was asked for but no CUDA card is visible; use 'cpu'")
    return torch.device(name)


def threads() -> int:
    """How many decode and resize at once."""
    return min(MOST_THREADS, os.cpu_count() or 1)


def at_once(do: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """What `do` makes of each, by threads: for what leaves Python's lock, as Pillow does."""
    if len(items) < 2:
        return [do(item) for item in items]
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(do, items))


class Rank(NamedTuple):
    """Which of how many processes this is."""

    number: int
    world: int


def join_world() -> Rank:
    """Meet the other processes that `torchrun` started; alone, be rank 0 of 1.

    The group is left when the interpreter ends, and not before: the same processes cannot be relied
    on to meet a second time, since where they found each other is still written down.
    """
    import torch
    import torch.distributed as dist

    if "WORLD_SIZE" not in os.environ:
        return Rank(0, 1)
    if not dist.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group(backend)
        atexit.register(dist.destroy_process_group)
    return Rank(dist.get_rank(), dist.get_world_size())


def autocast(where: "torch.device", precision: str) -> contextlib.AbstractContextManager[Any]:
    """Mixed precision for matrix products: 'fp32' switches it off, 'bf16' on.

    'auto' is bf16 where the hardware multiplies it: emulated, it is several times slower than fp32.
    """
    import torch

    if precision not in ("fp32", "bf16", "auto"):
        raise ConfigError(f"precision is {precision!r}; 'fp32', 'bf16' or 'auto' is expected")
    mixed = precision == "bf16" or (precision == "auto" and multiplies_bf16(where))
    return torch.autocast(where.type, torch.bfloat16, enabled=mixed)


def multiplies_bf16(where: "torch.device") -> bool:
    """Whether matrix products in bf16 are made by the hardware."""
    import torch

    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    supported = (torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported)
    return any(known() for known in supported)


def dice(*keys: int) -> np.random.Generator:
    """Random numbers that depend on the keys alone: (seed, step, rank) needs no bookkeeping."""
    return np.random.default_rng([key & 0xFFFFFFFF for key in keys])


def torch_dice(where: "torch.device", *keys: int) -> "torch.Generator":
    import torch

    generator = torch.Generator(device=where)
    generator.manual_seed(int(dice(*keys).integers(2**62)))
    return generator


def write_whole(path: Path, content: bytes | str) -> None:
    """Write so that a reader, or a crash, sees the old file or the new one and never half."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


@contextlib.contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """A folder that appears under its name only when everything in it has been written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if path.exists():
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old)
    else:
        temporary.rename(path)


def save_json(path: Path, value: Any) -> None:
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    write_whole(path, json.dumps(plain, indent=2, ensure_ascii=False, default=str) + "\n")


def load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} is missing; a folder written by `racm3` (or `save`) is expected"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); it may be damaged") from error


def hold_to(path: Path, run: dict[str, Any]) -> None:
    """Note what a folder's run is of, so that the same one goes on and no other one does.

    Raises:
        ConfigError: Another run was begun there.
    """
    plain = json.loads(json.dumps(run, default=str))
    known = load_json(path) if path.exists() else plain
    other = [name for name in {**known, **plain} if known.get(name) != plain.get(name)]
    if other:
        said = ", ".join(f"{name} {known.get(name)!r}" for name in other)
        raise ConfigError(
            f"{path.parent} was begun with {said}; choose another folder, or the same"
        )
    save_json(path, plain)


def load_config(kind: type[Configuration], path: Path) -> Configuration:
    """A frozen dataclass from its JSON; unknown keys are named, lists become tuples."""
    values = load_json(path)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, dict) or not known >= values.keys():
        strange = sorted(values.keys() - known) if isinstance(values, dict) else values
        raise CheckpointError(f"{path} has settings that {kind.__name__} does not know: {strange}")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except TypeError as error:
        raise CheckpointError(f"{path} does not describe a {kind.__name__}: {error}") from error


def progress(items: Iterable[Item], *, label: str, total: int | None = None) -> Iterator[Item]:
    """Show a bar on a terminal's standard error; elsewhere, as in a log, a line now and then."""
    if not sys.stderr.isatty():
        yield from _logged(items, label, total or length_hint(items))
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=label, total=total, console=Console(stderr=True))


def _logged(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    said = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - said >= LOGGED_EVERY:
            said = time.monotonic()
            sys.stderr.write(f"{label}: {number}{f' of {total}' if total else ''}\n")
        yield item
