"""Learning a small CLIP of the standard format: contrastive pairs, symmetric cross-entropy."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from racm3.document import Document, Image
from racm3.retrieval.clip import Clip, ClipConfig, TowerConfig
from racm3.retrieval.embedding import AVERAGE, Sides
from racm3.retrieval.encoder import BEGIN, END, ClipEncoder, Preprocessing, pad
from racm3.runtime import autocast
from racm3.tokens.text import train_bpe
from racm3.training.checkpoint import named, optimizer_tensors, restore_optimizer, under
from racm3.training.schedule import learning_rate

Pairs = Callable[[int], list[Document]]


@dataclass(frozen=True, kw_only=True)
class TowersTraining:
    """How towers of a CLIP learn.

    Args:
        steps: Length of the schedule.
        lr: Peak learning rate of AdamW.
        warmup: Updates of linear warm-up.
        weight_decay: AdamW's weight decay.
        precision: fp32, bf16, or auto (bf16 where the hardware multiplies it).
        width: Width of every tower.
        layers: Layers of each tower.
        seed: Decides initialisation.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 60
    weight_decay: float = 0.05
    precision: str = "fp32"
    width: int = 192
    layers: int = 4
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ClipTraining(TowersTraining):
    """How the small CLIP learns.

    Args:
        dim: Width of the shared space.
        vocabulary: Size of the text tokenizer that is trained on the captions.
        side: Picture side in pixels.
        patch: Patch side in pixels.
        pictures: How many pictures of a document are looked at, at most.
    """

    dim: int = 128
    vocabulary: int = 2048
    side: int = 64
    patch: int = 8
    pictures: int = 2


def new_clip(config: ClipTraining, texts: Sequence[str], *, sides: Sides = AVERAGE) -> ClipEncoder:
    """An untrained CLIP whose tokenizer has been fitted to the texts."""
    tokenizer = train_bpe(texts, size=config.vocabulary, specials=(BEGIN, END))
    tower: dict[str, Any] = {
        "hidden_size": config.width,
        "intermediate_size": 4 * config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": max(1, config.width // 48),
        "hidden_act": "gelu",
    }
    begin, end = (tokenizer.encode(marker).ids[0] for marker in (BEGIN, END))
    sizes = ClipConfig(
        text_config=TowerConfig(
            **tower,
            vocab_size=tokenizer.get_vocab_size(),
            bos_token_id=begin,
            eos_token_id=end,
        ),
        vision_config=TowerConfig(**tower, image_size=config.side, patch_size=config.patch),
        projection_dim=config.dim,
    )
    torch.manual_seed(config.seed)
    clip = Clip(sizes)
    for module in clip.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.02)
    preprocess = Preprocessing(
        resize=config.side, crop=config.side, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    return ClipEncoder(clip, tokenizer, preprocess, name="untrained", sides=sides)


def contrastive_loss(
    one: Float[Tensor, "batch dim"], other: Float[Tensor, "batch dim"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """InfoNCE in both directions (CLIP, Fig. 3)."""
    logits = scale.clamp(max=4.6052).exp() * F.normalize(one, dim=-1) @ F.normalize(other, dim=-1).T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class TowersLearner:
    """AdamW over some of a CLIP's parameters, and what a checkpoint has to hold."""

    def __init__(
        self,
        encoder: ClipEncoder,
        config: TowersTraining,
        learnt: Iterable[torch.nn.Parameter],
        device: torch.device,
    ) -> None:
        self.encoder, self.config, self.device = encoder, config, device
        self.clip = encoder.clip.to(device)
        self.learnt = [parameter.requires_grad_(True) for parameter in learnt]
        self.optimizer = torch.optim.AdamW(
            self.learnt, lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay
        )

    def update(self, step: int, loss: Float[Tensor, ""]) -> None:
        config = self.config
        rate = learning_rate(step, peak=config.lr, warmup=config.warmup, steps=config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learnt, 1.0)
        self.optimizer.step()

    def recall(self, documents: Sequence[Document]) -> dict[str, float]:
        """Recall@1 and @5, text to picture, among these documents."""
        text = self.encoder.texts([document.text for document in documents])
        image = self.encoder.images([_picture(document) for document in documents])
        scores = torch.from_numpy(text @ image.T)
        rank = (scores > scores.diagonal()[:, None]).sum(dim=1)
        return {f"recall@{k}": (rank < k).float().mean().item() for k in (1, 5)}

    def state(self) -> dict[str, Tensor]:
        return {
            **named("clip", self.clip.state_dict()),
            **optimizer_tensors(self.optimizer, name="optimizer"),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.clip.load_state_dict(under("clip", tensors))
        restore_optimizer(self.optimizer, tensors, name="optimizer")

    def export(self, folder: Path) -> None:
        self.encoder.save(folder)

    def describe(self) -> dict[str, Any]:
        return {"training": asdict(self.config)}


class ClipLearner(TowersLearner):
    """Learns from documents whose text and pictures belong together.

    Where all documents of a batch have several pictures, these are pairs, too: a picture that asks
    is compared with pictures in the memory, not only with their texts.
    """

    config: ClipTraining

    def __init__(
        self,
        encoder: ClipEncoder,
        config: ClipTraining,
        pairs: Pairs,
        validation: Sequence[Document],
        device: torch.device,
    ) -> None:
        super().__init__(encoder, config, encoder.clip.parameters(), device)
        self.pairs, self.validation = pairs, validation

    def learn_from(self, step: int) -> dict[str, float]:
        documents = self.pairs(step)
        ids, lengths = pad([self.encoder.windows(document.text)[0] for document in documents])
        shown = zip(*(one.images[: self.config.pictures] for one in documents), strict=False)
        with autocast(self.device, self.config.precision):
            views = [self.clip.text(ids.to(self.device), lengths.to(self.device)).float()]
            for pictures in shown:
                pixels = self.encoder.preprocess(pictures)
                views.append(self.clip.image(pixels.to(self.device)).float())
        pairs = list(combinations(views, 2))
        losses = [contrastive_loss(*pair, self.clip.logit_scale) for pair in pairs]
        loss = torch.stack(losses).mean()
        self.update(step, loss)
        return {"loss": loss.item()}

    def validate(self) -> dict[str, float]:
        return self.recall(self.validation)


def _picture(document: Document) -> Image:
    return document.images[0]
