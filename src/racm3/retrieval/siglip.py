"""SigLIP (Zhai et al. 2023) through `transformers`, as an encoder like CLIP; and which is which."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PIL
from tokenizers import Tokenizer
from torch import Tensor

from racm3.document import Image
from racm3.errors import CheckpointError
from racm3.retrieval.embedding import AVERAGE, Dropout, Sides, Vectors, unit
from racm3.retrieval.encoder import ClipEncoder, few_at_once, find_folder, over_windows
from racm3.runtime import at_once, load_json, save_json
from racm3.tokens.text import open_tokenizer


class SiglipEncoder:
    """A frozen SigLIP folder as an encoder; long texts are read in windows, never cut."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        preprocess: dict[str, Any],
        *,
        name: str,
        sides: Sides = AVERAGE,
    ) -> None:
        self.sides, self.model = sides, model.eval().requires_grad_(False)
        self.tokenizer, self.preprocess, self._name = tokenizer, preprocess, name
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return int(self.model.config.vision_config.hidden_size)

    def windows(self, text: str, dropout: Dropout | None = None) -> list[list[int]]:
        """Closed by </s> and padded to full length, as SigLIP was trained."""
        config = self.model.config.text_config
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        if dropout is not None and ids:
            ids = [ids[i] for i in dropout.keep(len(ids))]
        whole = config.max_position_embeddings
        pieces = [ids[i : i + whole - 1] for i in range(0, len(ids), whole - 1)] or [[]]
        closed = [[*piece, config.eos_token_id] for piece in pieces]
        return [[*one, *[config.pad_token_id] * (whole - len(one))] for one in closed]

    @torch.inference_mode()
    def texts(self, texts: Sequence[str], dropout: Dropout | None = None) -> Vectors:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        split = [self.windows(text, dropout) for text in texts]
        found = few_at_once(self._read, [window for windows in split for window in windows])
        return over_windows(found, [len(windows) for windows in split])

    def _read(self, windows: Sequence[list[int]]) -> Tensor:
        ids = torch.tensor(windows).to(self.model.device)
        return self.model.text_model(input_ids=ids).pooler_output

    @torch.inference_mode()
    def images(self, pictures: Sequence[Image], dropout: Dropout | None = None) -> Vectors:
        """Query dropout greys patches out: the model itself always reads all of them."""
        if not pictures:
            return np.zeros((0, self.dim), dtype=np.float32)
        found = few_at_once(lambda some: self._seen(some, dropout), pictures)
        return unit(found.float().cpu().numpy())

    def _seen(self, pictures: Sequence[Image], dropout: Dropout | None) -> Tensor:
        pixels = self.pixels(pictures)
        if dropout is not None:
            pixels = self._greyed(pixels, dropout)
        return self.model.vision_model(pixel_values=pixels.to(self.model.device)).pooler_output

    def pixels(self, pictures: Sequence[Image]) -> Float[Tensor, "batch 3 height width"]:
        """Squeezed to a square, not cropped: SigLIP's own preprocessing."""
        size = self.preprocess["size"]
        shape = (size["width"], size["height"])
        resample = PIL.Resampling(self.preprocess.get("resample", 3))

        def squeezed(picture: Image) -> np.ndarray:
            return np.asarray(picture.pil().resize(shape, resample))

        arrays = np.stack(at_once(squeezed, pictures))
        stacked = torch.from_numpy(np.moveaxis(arrays, -1, 1)).float() / 255
        mean, std = (
            torch.tensor(self.preprocess[f"image_{name}"]).view(3, 1, 1) for name in ("mean", "std")
        )
        return (stacked - mean) / std

    def _greyed(self, pixels: Tensor, dropout: Dropout) -> Tensor:
        patch = self.model.config.vision_config.patch_size
        rows, columns = pixels.shape[2] // patch, pixels.shape[3] // patch
        for picture in pixels:
            kept = torch.zeros(rows * columns)
            kept[dropout.keep_exactly(rows * columns)] = 1
            mask = torch.kron(kept.view(rows, columns), torch.ones(patch, patch))
            picture[:, : rows * patch, : columns * patch] *= mask
        return pixels

    def save(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model.to(dtype).save_pretrained(folder)
        self.model.float()
        self.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        save_json(folder / "preprocessor_config.json", self.preprocess)
        self.sides.save(folder)

    @classmethod
    def open(cls, where: str | Path, *, device: torch.device | None = None) -> "SiglipEncoder":
        """From a folder, or from a hub name when no such folder exists."""
        try:
            from transformers import SiglipModel
        except ImportError as error:
            raise CheckpointError(
                "SigLIP is read by `transformers`; `pip install -c constraints.txt transformers`"
            ) from error
        folder = find_folder(where)
        model: Any = SiglipModel.from_pretrained(folder, dtype=torch.float32)
        model = model.to(device or "cpu")
        tokenizer = open_tokenizer(folder / "tokenizer.json")
        preprocess = load_json(folder / "preprocessor_config.json")
        name, sides = "/".join(Path(where).parts[-2:]), Sides.read(folder)
        return cls(model, tokenizer, preprocess, name=name, sides=sides)


Dual = ClipEncoder | SiglipEncoder


def open_dual(where: str | Path, *, device: torch.device | None = None) -> Dual:
    """A CLIP or a SigLIP folder (or hub name), told apart by its config.json."""
    folder = find_folder(where)
    kind = load_json(folder / "config.json").get("model_type", "clip")
    kinds: dict[str, type[ClipEncoder] | type[SiglipEncoder]] = {
        "clip": ClipEncoder, "siglip": SiglipEncoder,
    }  # fmt: skip
    if kind not in kinds:
        raise CheckpointError(
            f"{where} is a {kind!r} model; a CLIP or SigLIP folder is expected. Another encoder "
            "can be handed to racm3.retrieval from Python: it keeps the promise of `Encoder`"
        )
    return kinds[kind].open(where, device=device)
