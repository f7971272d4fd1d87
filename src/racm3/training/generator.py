"""Learning the generator: Eq. 2 over the global batch, Adam, the papers' schedule."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from racm3.data.stream import Stream
from racm3.errors import ConfigError
from racm3.model.export import save_generator
from racm3.model.transformer import Transformer
from racm3.runtime import autocast, torch_dice
from racm3.tokens.context import Packed
from racm3.tokens.vocabulary import Vocabulary
from racm3.training.checkpoint import named, optimizer_tensors, restore_optimizer, under
from racm3.training.muon import Muon
from racm3.training.objective import Batch, batch, objective, summed_in_pieces, token_nll
from racm3.training.schedule import learning_rate
from racm3.training.sharding import full, shard, sliced, whole


@dataclass(frozen=True, kw_only=True)
class GeneratorTraining:
    """How the generator learns (RA-CM3 §4.1; CM3Leon §2.3).

    Args:
        steps: Length of the schedule; 0 for as long as the run.
        lr: Peak learning rate.
        warmup: Updates of linear warm-up.
        alpha: Weight of the retrieved documents' loss (Eq. 2).
        z_loss: Weight of the squared log-normaliser; 0 switches it off.
        betas: Adam's moments.
        weight_decay: Decoupled weight decay; 0 is plain Adam.
        optimizer: adam, or muon for the matrices of the blocks (and Adam for the rest).
        clip: Largest gradient norm.
        accumulate: Micro-batches added up before each update.
        precision: fp32, bf16 (mixed), or auto: bf16 where the hardware multiplies it.
        compile: Use torch.compile.
        recompute: Keep what stands between the layers and compute the rest again in the backward
            pass, the logits a piece at a time: the forward pass twice, a fraction of the memory.
        shard: Slice weights, gradients and optimizer state over the ranks of torchrun (FSDP2)
            where each of them would hold all of it otherwise.
        seed: Decides initialisation.
    """

    steps: int = 0
    lr: float = 1e-4
    warmup: int = 1500
    alpha: float = 0.1
    z_loss: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    optimizer: Literal["adam", "muon"] = "adam"
    clip: float = 1.0
    accumulate: int = 1
    precision: str = "fp32"
    compile: bool = False
    recompute: bool = False
    shard: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.alpha < 0 or self.accumulate < 1 or self.clip <= 0 or self.lr <= 0:
            raise ConfigError("alpha >= 0, accumulate >= 1, clip > 0 and lr > 0 are expected")
        if self.shard and self.optimizer == "muon":
            raise ConfigError("muon needs whole matrices; shard with `--training.optimizer adam`")


class GeneratorLearner:
    def __init__(
        self,
        model: Transformer,
        config: GeneratorTraining,
        stream: Stream,
        validation: list[Packed],
        device: torch.device,
    ) -> None:
        if model.config.vocabulary != len(stream.vocabulary):
            raise ConfigError(
                f"the generator has {model.config.vocabulary} ids, the tokenizers make "
                f"{len(stream.vocabulary)}; set the generator's vocabulary to the latter"
            )
        if config.steps < 1:
            raise ConfigError("a schedule needs steps: say how many")
        self.model, self.config, self.stream = model.to(device), config, stream
        self.validation, self.device = validation, device
        self.model.recompute = config.recompute
        if config.shard:
            shard(self.model)
        self.optimizers = optimizers(model, config)
        self.summed_loss = torch.compile(self._summed_loss) if config.compile else self._summed_loss

    def learn_from(self, step: int) -> dict[str, float]:
        config = self.config
        batches = [batch(next(self.stream), self.device) for _ in range(config.accumulate)]
        total = summed_over_ranks(torch.stack([one.weight(config.alpha).sum() for one in batches]))
        self.model.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.device)
        for one in batches:
            with autocast(self.device, config.precision):
                summed = self.summed_loss(one, one.weight(config.alpha))
            # The sum over ranks is wanted, of which FSDP takes the mean.
            share = summed / total * (self.stream.world if config.shard else 1)
            share.backward()
            loss += summed.detach() / total
        if dist.is_initialized() and not config.shard:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    dist.all_reduce(parameter.grad)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        rate = learning_rate(step, peak=config.lr, warmup=config.warmup, steps=config.steps)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
            with autocast(self.device, config.precision):  # Muon's products are products, too
                optimizer.step()
        loss = summed_over_ranks(loss)
        return {"loss": loss.item(), "grad_norm": full(norm).item(), "lr": rate}

    def _summed_loss(self, one: Batch, weight: Float[Tensor, "rows seq"]) -> Float[Tensor, ""]:
        parts, z_loss = (one.ids, one.positions, one.sample), self.config.z_loss
        if not self.config.recompute:
            return objective(self.model(*parts), one.targets, weight, z_loss=z_loss).summed
        loss = partial(summed_in_pieces, targets=one.targets, weight=weight, z_loss=z_loss)
        return self.model(*parts, then=loss)

    def validate(self) -> dict[str, float]:
        """Image and text perplexity of the main documents; nothing where there are none."""
        if not self.validation:
            return {}
        batches = [batch(packed, self.device) for packed in self.validation]
        with evaluating(self.model):
            return perplexity(self.model, batches, self.stream.vocabulary)

    def state(self) -> dict[str, Tensor]:
        # Every rank's place in its own shard; the ranks must agree to meet here.
        marks = gathered(torch.from_numpy(self.stream.bookmark()))
        states = [optimizer_tensors(one, name=name) for name, one in self.optimizers.items()]
        return {
            **named("model", whole(self.model.state_dict())),
            **{name: one for state in states for name, one in whole(state).items()},
            **{f"stream.{rank}": mark for rank, mark in enumerate(marks)},
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        now = self.model.state_dict()
        theirs = under("model", tensors)
        self.model.load_state_dict({k: sliced(v, now[k]) for k, v in theirs.items()})
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, tensors, name=name, cut=sliced)
        rank = dist.get_rank() if dist.is_initialized() else 0
        self.stream.seek(tensors[f"stream.{rank}"].numpy())

    def export(self, folder: Path) -> None:
        weights = whole(self.model.state_dict())
        if not dist.is_initialized() or dist.get_rank() == 0:
            save_generator(self.model, folder, weights=weights)

    def describe(self) -> dict[str, Any]:
        return {
            "training": asdict(self.config),
            "model": asdict(self.model.config),
            "stream": asdict(self.stream.config),
            "world": self.stream.world,
        }


def optimizers(model: Transformer, config: GeneratorTraining) -> dict[str, torch.optim.Optimizer]:
    """Adam for everything, or Muon for the matrices of the blocks and Adam for the rest."""
    blocks = [p for layer in model.layers for p in layer.parameters()]
    inner = [p for p in blocks if p.ndim == 2 and config.optimizer == "muon"]
    outer = [p for p in model.parameters() if all(p is not one for one in inner)]
    adam = torch.optim.AdamW(
        outer, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
    if not inner:
        return {"optimizer": adam}
    return {
        "optimizer": adam,
        "muon": Muon(inner, lr=config.lr, weight_decay=config.weight_decay),
    }


def begin_with_codes(
    model: Transformer,
    first: int,
    vectors: Float[Tensor, "codes dim"],
    *,
    share: float = 0.9,
    seed: int = 0,
) -> None:
    """Let codes that look alike begin with embeddings that are alike.

    The codebook's vectors, centred and turned at random into the model's width, make up `share` of
    the embeddings (and, where they are not tied, of the output matrix) of the ids from `first` on;
    their size stays what initialisation gave them.
    """
    centred = vectors - vectors.mean(dim=0)
    centred = centred / centred.norm(dim=1).mean()
    turn = torch.randn(
        vectors.shape[1], model.config.width, generator=torch_dice(torch.device("cpu"), seed, 17)
    )
    for matrix in {model.embed_tokens.weight, model.head}:
        rows = matrix.data[first : first + len(vectors)]
        shared = (centred.to(rows) @ turn.to(rows)) * share * rows.std()
        rows.mul_((1 - share**2) ** 0.5).add_(shared)


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    was = model.training
    model.eval()
    with torch.inference_mode():
        yield
    model.train(was)


def perplexity(
    model: Transformer, batches: list[Batch], vocabulary: Vocabulary
) -> dict[str, float]:
    """exp of the mean loss over main ids, pictures and text apart (RA-CM3 §4.2)."""
    sums = {"image": [0.0, 0.0], "text": [0.0, 0.0]}
    for one in batches:
        nll = token_nll(model(one.ids, one.positions, one.sample), one.targets)
        image = (one.targets >= vocabulary.image.start) & (one.targets < vocabulary.image.stop)
        text = one.targets < vocabulary.text.stop
        for name, kind in (("image", image), ("text", text)):
            sums[name][0] += nll[kind & (one.main > 0)].sum().item()
            sums[name][1] += (kind & (one.main > 0)).sum().item()
    return {
        f"{name}_perplexity": float(torch.tensor(total / max(count, 1)).exp())
        for name, (total, count) in sums.items()
    }


def summed_over_ranks(values: Tensor) -> Tensor:
    total = values.sum()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


def gathered(values: Tensor) -> list[Tensor]:
    """Every rank's tensor, of whatever length, in order of rank."""
    if not dist.is_initialized():
        return [values]
    found: list[Tensor] = [values] * dist.get_world_size()
    dist.all_gather_object(found, values)
    return found
