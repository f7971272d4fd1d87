"""A frozen CLIP folder as an encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image as PIL
from tokenizers import Tokenizer
from torch import Tensor

from racm3.document import Image, middle
from racm3.errors import CheckpointError
from racm3.retrieval.clip import Clip, ClipConfig
from racm3.retrieval.embedding import AVERAGE, Dropout, Sides, Vectors, unit
from racm3.runtime import at_once, load_json
from racm3.tokens.image import load_weights
from racm3.tokens.text import open_tokenizer

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
# Windows of texts, or pictures, that are encoded together.
MOST_AT_ONCE = 256
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """CLIP's own: shorter side to `resize`, centre crop, then mean and deviation by channel."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def read(cls, folder: Path) -> "Preprocessing":
        values = load_json(folder / "preprocessor_config.json")
        resize, crop = values.get("size", 224), values.get("crop_size", 224)
        return cls(
            resize=resize["shortest_edge"] if isinstance(resize, dict) else resize,
            crop=crop["height"] if isinstance(crop, dict) else crop,
            mean=tuple(values["image_mean"]),
            std=tuple(values["image_std"]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": True, "size": {"shortest_edge": self.resize}, "resample": 3,
            "do_center_crop": True, "crop_size": {"height": self.crop, "width": self.crop},
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
            "do_convert_rgb": True, "image_mean": self.mean, "image_std": self.std,
        }  # fmt: skip

    def __call__(self, pictures: Sequence[Image]) -> Float[Tensor, "batch 3 height width"]:
        # Threads cost more than they save where nothing is to be done.
        ready = all(map(self._fits, pictures))
        squares = [one.pixels for one in pictures] if ready else at_once(self._square, pictures)
        stacked = np.stack(squares)
        pixels = torch.from_numpy(np.moveaxis(stacked, -1, 1)).float() / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std

    def _fits(self, picture: Image) -> bool:
        return picture.width == picture.height == self.resize == self.crop

    def _square(self, picture: Image) -> np.ndarray:
        if self._fits(picture):
            return picture.pixels
        image = middle(picture.pil())
        width, height, short = *image.size, min(image.size)
        size = (int(self.resize * width / short), int(self.resize * height / short))
        if size != image.size:
            image = image.resize(size, PIL.Resampling.BICUBIC)
        left, top = (size[0] - self.crop) // 2, (size[1] - self.crop) // 2
        return np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))


class ClipEncoder:
    """A frozen CLIP folder as an encoder; long texts are read in windows, never cut."""

    def __init__(
        self,
        clip: Clip,
        tokenizer: Tokenizer,
        preprocess: Preprocessing,
        *,
        name: str,
        sides: Sides = AVERAGE,
    ) -> None:
        self.sides, self.clip = sides, clip.eval().requires_grad_(False)
        self.tokenizer, self.preprocess, self._name = tokenizer, preprocess, name
        # Windows do our cutting and padding; a tokenizer.json may carry its own.
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        # The published CLIP folders' configs still carry ids (0 and 2) that their tokenizers do not
        # use; the tokenizer is what the weights were trained with.
        known = (tokenizer.token_to_id(marker) for marker in (BEGIN, END))
        config = clip.config.text_config
        said = (config.bos_token_id, config.eos_token_id)
        self.begin, self.end = (
            found if found is not None else own for found, own in zip(known, said, strict=True)
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return self.clip.config.projection_dim

    @property
    def device(self) -> torch.device:
        return self.clip.logit_scale.device

    def windows(self, text: str, dropout: Dropout | None = None) -> list[list[int]]:
        """The text's ids between BOS and EOS, in as many windows as CLIP's positions need."""
        config = self.clip.config.text_config
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        if dropout is not None and ids:
            ids = [ids[i] for i in dropout.keep(len(ids))]
        room = config.max_position_embeddings - 2
        pieces = [ids[i : i + room] for i in range(0, len(ids), room)] or [[]]
        return [[self.begin, *piece, self.end] for piece in pieces]

    @torch.inference_mode()
    def texts(self, texts: Sequence[str], dropout: Dropout | None = None) -> Vectors:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        split = [self.windows(text, dropout) for text in texts]
        vectors = few_at_once(self._read, [window for windows in split for window in windows])
        return over_windows(vectors, [len(windows) for windows in split])

    def _read(self, windows: Sequence[list[int]]) -> Tensor:
        ids, lengths = pad(windows)
        return self.clip.text(ids.to(self.device), lengths.to(self.device))

    @torch.inference_mode()
    def images(self, pictures: Sequence[Image], dropout: Dropout | None = None) -> Vectors:
        if not pictures:
            return np.zeros((0, self.dim), dtype=np.float32)
        vectors = few_at_once(lambda some: self._seen(some, dropout), pictures)
        return unit(vectors.float().cpu().numpy())

    def _seen(self, pictures: Sequence[Image], dropout: Dropout | None) -> Tensor:
        patches = None
        if dropout is not None:
            config = self.clip.config.vision_config
            count = (config.image_size // config.patch_size) ** 2
            patches = torch.tensor([dropout.keep_exactly(count) for _ in pictures])
            patches = patches.to(self.device)
        return self.clip.image(self.preprocess(pictures).to(self.device), patches)

    def save(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """A folder that `transformers.CLIPModel.from_pretrained` opens too."""
        from safetensors.torch import save_file

        from racm3.runtime import save_json

        folder.mkdir(parents=True, exist_ok=True)
        save_json(folder / "config.json", self.clip.config.to_json())
        save_json(folder / "preprocessor_config.json", self.preprocess.to_json())
        self.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        save_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
        tensors = self.clip.state_dict().items()
        state = {k: v.detach().cpu().to(dtype).contiguous() for k, v in tensors}
        self.sides.save(folder)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    @classmethod
    def open(cls, where: str | Path, *, device: torch.device | None = None) -> "ClipEncoder":
        """From a folder, or from a hub name when no such folder exists."""
        folder = find_folder(where)
        clip = Clip(ClipConfig.read(folder))
        load_weights(clip, folder / "model.safetensors", ignore=("position_ids",))
        tokenizer = open_tokenizer(folder / "tokenizer.json")
        preprocess = Preprocessing.read(folder)
        # The last two components, so that a moved folder keeps its name.
        name = "/".join(Path(where).parts[-2:])
        sides = Sides.read(folder)
        return cls(clip.to(device or "cpu"), tokenizer, preprocess, name=name, sides=sides)


def few_at_once(encode: Callable[[Sequence[Item]], Tensor], items: Sequence[Item]) -> Tensor:
    """What `encode` makes of all, some at a time: a long text has many windows, a page pictures."""
    parts = range(0, len(items), MOST_AT_ONCE)
    return torch.cat([encode(items[at : at + MOST_AT_ONCE]) for at in parts])


def over_windows(vectors: Float[Tensor, "windows dim"], counts: Sequence[int]) -> Vectors:
    """One unit vector a text: the mean direction of its windows."""
    pieces = F.normalize(vectors.float(), dim=-1).cpu().numpy()
    owners = np.repeat(np.arange(len(counts)), counts)
    return unit(np.stack([pieces[owners == i].mean(axis=0) for i in range(len(counts))]))


def pad(sequences: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids padded on the right with zeros, and the true lengths."""
    lengths = torch.tensor([len(s) for s in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    return ids, lengths


def find_folder(where: str | Path) -> Path:
    """A local folder as it is; anything else is taken for a hub name and fetched once."""
    folder = Path(where)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or str(where).startswith("."):
        raise CheckpointError(f"there is no CLIP folder at {where}")
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"]
    try:
        return Path(snapshot_download(str(where), allow_patterns=wanted))
    except Exception as error:
        raise CheckpointError(
            f"{where!r} is neither a folder nor a hub model that can be reached "
            f"({type(error).__name__}); give the path of a downloaded CLIP folder"
        ) from error
