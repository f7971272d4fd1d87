"""Learning the image tokenizer: pixels, multi-scale edges, rivals, a patch adversary, a moving
codebook."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from racm3.errors import ConfigError
from racm3.runtime import autocast, torch_dice
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.model import VQGAN
from racm3.tokens.vqgan.quantizer import MovingAverages
from racm3.training.checkpoint import named, optimizer_tensors, restore_optimizer, under
from racm3.training.schedule import learning_rate

# Of a squared error, in pixels of [-1, 1]: 43 dB, beyond which a picture is good enough.
FLOOR = 2e-4
# From the middle between a picture and its rival, of 0.5; and the squared distance, in pixels of
# [-1, 1], below which the two are one.
MARGIN, SAME = 0.35, 1e-3


class PictureBatch(NamedTuple):
    """Pictures to learn, and where it is said what each must not be taken for."""

    pictures: Float[Tensor, "batch 3 height width"]
    rivals: Float[Tensor, "batch rivals 3 height width"] | None = None


Pictures = Callable[[int], PictureBatch]


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining:
    """How the image tokenizer learns.

    Args:
        steps: Length of the schedule.
        lr: Peak learning rate.
        warmup: Updates of linear warm-up.
        commitment: Weight that pulls features to their codes.
        absolute: Weight of the mean absolute error.
        squared: Weight of the mean squared error.
        decibels: Weight of the log of each picture's own squared error, which PSNR is, taken to
            seven tenths from pixels and to three tenths from 2 x 2 means.
        contrast: Weight of telling each picture from its rivals; those of `racm3 train sample` come
            with some.
        edges: Weight of the multi-scale gradient loss (the perceptual part, free of downloads).
        adversarial: Weight of the patch adversary, once it has begun.
        adversarial_from: The update at which the adversary begins.
        decoder_only: Keep encoder and codebook as they are, so existing codes stay valid.
        dead_below: A code with fewer members in an update, on average, is given to another feature.
        goes_on: The codebook is a trained one: codes that are not met at once are not given away.
        precision: fp32, bf16, or auto (bf16 where the hardware multiplies it).
        seed: Decides initialisation and rebirths of codes.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 100
    commitment: float = 0.25
    absolute: float = 1.0
    squared: float = 1.0
    decibels: float = 0.0
    contrast: float = 0.0
    edges: float = 1.0
    adversarial: float = 0.0
    adversarial_from: int = 0
    decoder_only: bool = False
    dead_below: float = 0.05
    goes_on: bool = False
    precision: str = "fp32"
    seed: int = 0


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches (Isola et al. 2017); no batch statistics, so it is exact."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.GroupNorm(8, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 1 rows columns"]:
        return self.layers(pixels)


def edge_loss(
    made: Float[Tensor, "batch 3 height width"], real: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, ""]:
    """How far horizontal and vertical differences are apart, at three scales."""
    total = made.new_zeros(())
    for _ in range(3):
        for axis in (2, 3):
            total = total + (made.diff(dim=axis) - real.diff(dim=axis)).abs().mean()
        made, real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)
    return total


def decibel_loss(
    made: Float[Tensor, "batch 3 height width"], real: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, ""]:
    """The mean over pictures of the log of their squared error: minus PSNR, but for its unit.

    A picture counts by how far it is off for its kind: a small thing on a plain ground as much as a
    large one. Three tenths are the same of 2 x 2 means, the rest of pixels.
    """
    whole = (made - real).square().mean(dim=(1, 2, 3))
    halved = (F.avg_pool2d(made, 2) - F.avg_pool2d(real, 2)).square().mean(dim=(1, 2, 3))
    return 0.7 * (whole + FLOOR).log().mean() + 0.3 * (halved + FLOOR).log().mean()


def contrast_loss(
    made: Float[Tensor, "batch 3 height width"],
    real: Float[Tensor, "batch 3 height width"],
    rivals: Float[Tensor, "batch rivals 3 height width"],
) -> Float[Tensor, ""]:
    """How far pictures fall short of being told from their rivals: a triplet loss with a margin
    (FaceNet, Schroff et al. 2015 §3.1) of 2 x 2 means.

    Along the line from a rival to the picture, of length one, what was made has to be nearer to the
    picture by `MARGIN` than the middle is. Twins that differ in a few pixels count as much as
    others, and whatever lies off that line does not count. A rival that is the picture counts
    nothing.
    """
    count = rivals.shape[:2]
    halves = [F.avg_pool2d(one, 2).unsqueeze(1) for one in (made, real)]
    other = F.avg_pool2d(rivals.flatten(0, 1), 2).unflatten(0, count)
    line = halves[1] - other
    length = line.square().sum(dim=(2, 3, 4))
    beyond_middle = ((halves[0] - (halves[1] + other) / 2) * line).sum(dim=(2, 3, 4))
    apart = length > SAME
    short = F.relu(MARGIN - beyond_middle / length.clamp(min=SAME))
    return (short * apart).sum() / apart.sum().clamp(min=1)


class TokenizerLearner:
    def __init__(
        self,
        vqgan: VQGAN,
        config: TokenizerTraining,
        pictures: Pictures,
        validation: Float[Tensor, "batch 3 height width"],
        device: torch.device,
    ) -> None:
        self.config, self.pictures, self.device = config, pictures, device
        self.vqgan = vqgan.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averages = MovingAverages(
            vqgan.codebook, dead_below=config.dead_below, trained=config.goes_on
        ).to(device)
        self.adversary = PatchDiscriminator().to(device)
        self.validation = validation
        self.vqgan.requires_grad_(True)
        if config.decoder_only:
            self.vqgan.encoder.requires_grad_(False)
        learnt = [p for p in self.vqgan.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(learnt, lr=config.lr, betas=(0.9, 0.99))
        self.adversary_optimizer = torch.optim.Adam(
            self.adversary.parameters(), lr=config.lr, betas=(0.5, 0.9)
        )

    def learn_from(self, step: int) -> dict[str, float]:
        config = self.config
        rate = learning_rate(step, peak=config.lr, warmup=config.warmup, steps=config.steps)
        shown, rivals = self.pictures(step)
        real = shown.to(self.device, memory_format=torch.channels_last)
        with autocast(self.device, config.precision):
            features = self.vqgan.features(real)
            quantized = self.vqgan.codebook(features)
            made = self.vqgan.painted(quantized.vectors, quantized.codes).float()
        l1 = (made - real).abs().mean()
        loss = config.absolute * l1 + config.squared * (made - real).square().mean()
        loss = loss + config.edges * edge_loss(made, real)
        loss = loss + config.commitment * quantized.commitment_loss
        if config.decibels > 0:
            loss = loss + config.decibels * decibel_loss(made, real)
        losses = {"l1": l1.item(), "commitment": quantized.commitment_loss.item()}
        if config.contrast > 0:
            short = contrast_loss(made, real, self._required(rivals))
            loss, losses["contrast"] = loss + config.contrast * short, short.item()
        adversarial = config.adversarial > 0 and step >= config.adversarial_from
        if adversarial:
            self.adversary.requires_grad_(False)
            loss = loss - config.adversarial * self.adversary(made).mean()
        _step(self.optimizer, loss, rate)
        if not config.decoder_only:
            dice = torch_dice(torch.device("cpu"), config.seed, step)
            self.averages.update(self.vqgan.codebook, features, quantized.codes, dice)
        if adversarial:
            losses["adversary"] = self._teach_adversary(made.detach(), real, rate)
        return losses

    def _required(self, rivals: Tensor | None) -> Tensor:
        if rivals is None:
            raise ConfigError(
                "`contrast` is the weight of telling pictures from their rivals, and these "
                "pictures come with none; set it to 0"
            )
        return rivals.to(self.device)

    def _teach_adversary(self, made: Tensor, real: Tensor, rate: float) -> float:
        self.adversary.requires_grad_(True)
        hinge = F.relu(1 - self.adversary(real)).mean() + F.relu(1 + self.adversary(made)).mean()
        _step(self.adversary_optimizer, hinge, rate)
        return hinge.item()

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """PSNR in dB over [0, 255] pixels, and the share of codes that unseen pictures use."""
        codes = self.vqgan.encode(self.validation.to(self.device))
        made = self.vqgan.decode(codes).cpu()
        error = ((made - self.validation) / 2).square().mean(dim=(1, 2, 3))
        used = len(codes.unique()) / self.vqgan.config.codes
        return {"psnr": (-10 * error.log10()).mean().item(), "codes_used": used}

    def state(self) -> dict[str, Tensor]:
        return {
            **named("vqgan", self.vqgan.state_dict()),
            **named("averages", self.averages.state_dict()),
            **named("adversary", self.adversary.state_dict()),
            **optimizer_tensors(self.optimizer, name="optimizer"),
            **optimizer_tensors(self.adversary_optimizer, name="adversary_optimizer"),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.vqgan.load_state_dict(under("vqgan", tensors))
        self.averages.load_state_dict(under("averages", tensors))
        self.adversary.load_state_dict(under("adversary", tensors))
        restore_optimizer(self.optimizer, tensors, name="optimizer")
        restore_optimizer(self.adversary_optimizer, tensors, name="adversary_optimizer")

    def export(self, folder: Path) -> None:
        ImageTokenizer(self.vqgan).save(folder)

    def describe(self) -> dict[str, Any]:
        model: VQGANConfig = self.vqgan.config
        return {"training": asdict(self.config), "model": asdict(model)}


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
