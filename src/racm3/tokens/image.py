"""Pictures to codes and back: the image tokenizer that everything else sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, Int64
from torch import Tensor

from racm3.document import Image, fit
from racm3.errors import CheckpointError
from racm3.runtime import load_config, load_json, save_json
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.family import FamilyConfig, FamilyVQGAN
from racm3.tokens.vqgan.model import VQGAN

AT_ONCE = 64
DECODING = ("decoder", "details", "post_quant_conv")


@dataclass(frozen=True, slots=True)
class Grid:
    """How many codes a picture becomes; nothing else in the package knows the number."""

    rows: int
    columns: int

    def __len__(self) -> int:
        return self.rows * self.columns


def to_pixels(pictures: Sequence[Image]) -> Float[Tensor, "batch 3 height width"]:
    """Pictures of one size as a batch in [-1, 1], channels first."""
    stacked = torch.from_numpy(np.stack([picture.pixels for picture in pictures]))
    return rearrange(stacked, "batch h w rgb -> batch rgb h w").float() / 127.5 - 1


def to_images(pixels: Float[Tensor, "batch 3 height width"]) -> list[Image]:
    bytes_ = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return [Image(p) for p in rearrange(bytes_, "batch rgb h w -> batch h w rgb").cpu().numpy()]


class ImageTokenizer:
    """A trained VQGAN with its picture size: any picture in, exactly one grid of codes out.

    The VQGAN is our own, or a public one of the family that most share (`vqgan/family.py`).
    """

    def __init__(self, vqgan: VQGAN | FamilyVQGAN) -> None:
        self.vqgan = vqgan.eval().requires_grad_(False)
        self.config = vqgan.config
        self.grid = Grid(vqgan.config.cells, vqgan.config.cells)

    @property
    def side(self) -> int:
        return self.config.side

    @property
    def codes(self) -> int:
        return self.config.codes

    @property
    def device(self) -> torch.device:
        return self.vqgan.codebook.vectors.device

    @torch.inference_mode()
    def encode(self, pictures: Sequence[Image]) -> Int64[np.ndarray, "batch cells"]:
        """One row of codes a picture, read left to right, top to bottom."""
        found = [np.zeros((0, len(self.grid)), dtype=np.int64)]
        for start in range(0, len(pictures), AT_ONCE):
            squares = [fit(picture, self.side) for picture in pictures[start : start + AT_ONCE]]
            codes = self.vqgan.encode(to_pixels(squares).to(self.device))
            found.append(rearrange(codes, "b r c -> b (r c)").cpu().numpy())
        return np.concatenate(found)

    @torch.inference_mode()
    def decode(self, codes: Int[np.ndarray, "batch cells"]) -> list[Image]:
        pictures: list[Image] = []
        for start in range(0, len(codes), AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(codes[start : start + AT_ONCE]))
            grids = rearrange(some, "b (r c) -> b r c", r=self.grid.rows).to(self.device)
            pictures += to_images(self.vqgan.decode(grids))
        return pictures

    def save(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Write config.json and model.safetensors, what decodes in `dtype`.

        What encodes keeps its precision: generators have learnt these codes, and half of it is
        enough to give white another one.
        """
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_json(folder / "config.json", self.config)
        tensors = self.vqgan.state_dict().items()
        state = {
            name: tensor.detach().cpu().to(dtype if name.startswith(DECODING) else tensor.dtype)
            for name, tensor in tensors
        }
        state = {name: tensor.contiguous() for name, tensor in state.items()}
        save_file(state, folder / "model.safetensors")

    @classmethod
    def open(cls, folder: Path, *, device: torch.device | None = None) -> "ImageTokenizer":
        path = folder / "config.json"
        vqgan: VQGAN | FamilyVQGAN
        if "family" in load_json(path):
            vqgan = FamilyVQGAN(load_config(FamilyConfig, path))
        else:
            vqgan = VQGAN(load_config(VQGANConfig, path))
        load_weights(vqgan, folder / "model.safetensors")
        return cls(vqgan.to(device or "cpu"))


def load_weights(module: torch.nn.Module, path: Path, *, ignore: tuple[str, ...] = ()) -> None:
    """Fill a module from safetensors; anything missing, extra or of another shape is named.

    Names that end in one of `ignore` are left out (buffers that other versions used to save).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = {k: v for k, v in load_file(path).items() if not (ignore and k.endswith(ignore))}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be opened as safetensors ({error}); copy the file again"
        ) from error
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if expected != found:
        wrong = sorted(k for k in expected | found if expected.get(k) != found.get(k))
        name = wrong[0]
        raise CheckpointError(
            f"{path} does not fit its config.json: {name} has shape {found.get(name)} but "
            f"{expected.get(name)} is expected ({len(wrong)} differ); use its own config"
        )
    module.load_state_dict({k: v.to(dtype=module.state_dict()[k].dtype) for k, v in state.items()})
