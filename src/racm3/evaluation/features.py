"""What pictures are compared by: feature extractors with a name that every score carries."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import length_hint
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from PIL import Image as PIL

from racm3.document import Image
from racm3.errors import CheckpointError
from racm3.retrieval.embedding import Encoder
from racm3.runtime import device, progress
from racm3.tokens.image import ImageTokenizer, to_pixels

AT_ONCE = 64


class Extractor(NamedTuple):
    """A score made with it is called `frechet[name]`; only Inception may call itself FID."""

    name: str
    features: Callable[[Sequence[Image]], Float32[np.ndarray, "pictures dim"]]

    def __call__(self, pictures: Iterable[Image]) -> Float32[np.ndarray, "pictures dim"]:
        """Of one picture at least; 64 of them are in RAM at once."""
        left = iter(pictures)
        batches = iter(lambda: list(islice(left, AT_ONCE)), [])
        total = -(-length_hint(pictures) // AT_ONCE) or None
        some = progress(batches, label=f"features[{self.name}]", total=total)
        return np.concatenate([self.features(batch) for batch in some])


def clip_features(encoder: Encoder) -> Extractor:
    """Unit vectors of a CLIP's picture tower."""
    return Extractor(f"clip:{encoder.name}", lambda pictures: encoder.images(pictures))


def tokenizer_features(tokenizer: ImageTokenizer) -> Extractor:
    """The vectors of the image tokenizer's codes, averaged over the four quarters of the grid."""

    @torch.inference_mode()
    def features(pictures: Sequence[Image]) -> Float32[np.ndarray, "pictures dim"]:
        codes = torch.from_numpy(tokenizer.encode(pictures)).long()
        side = tokenizer.grid.rows
        vectors = tokenizer.vqgan.codebook.look_up(codes.view(-1, side, side).to(tokenizer.device))
        return F.adaptive_avg_pool2d(vectors, 2).flatten(1).float().cpu().numpy()

    return Extractor("image-tokenizer", features)


def pixel_features(side: int = 8) -> Extractor:
    """The picture itself, shrunk: needs no weights and no training, and sees no detail."""

    def features(pictures: Sequence[Image]) -> Float32[np.ndarray, "pictures dim"]:
        small = [p.pil().resize((side, side), PIL.Resampling.BOX) for p in pictures]
        return np.stack([np.asarray(one, np.float32).ravel() / 255 for one in small])

    return Extractor(f"pixels-{side}x{side}", features)


def inception(weights: Path, *, on: torch.device | None = None) -> Extractor:
    """Inception-v3 in the FID convention, from a TorchScript file that the user supplies.

    The file is `inception-2015-12-05.pt`, the TorchScript of the original TensorFlow graph that
    the StyleGAN family publishes: it takes uint8 pictures (batch, 3, height, width), resizes them
    to 299 x 299 itself as that graph does, and gives 2,048 numbers with `return_features=True`.
    Pictures of several sizes go one by one, each resized from what it is.
    Any other TorchScript module with that signature is used alike, under its file's name.
    """
    try:
        with warnings.catch_warnings():
            # TorchScript is what the file is; that newer exports exist does not help its reader.
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(weights), map_location=on or device("auto")).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{weights} is no TorchScript module ({str(error).splitlines()[0]}); FID needs the "
            "file inception-2015-12-05.pt"
        ) from error

    @torch.inference_mode()
    def features(pictures: Sequence[Image]) -> Float32[np.ndarray, "pictures dim"]:
        if len({picture.pixels.shape for picture in pictures}) > 1:
            return np.concatenate([features([picture]) for picture in pictures])
        pixels = ((to_pixels(pictures) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        there = pixels.to(on or device("auto"))
        return module(there, return_features=True).float().cpu().numpy()

    known = weights.name == "inception-2015-12-05.pt"
    return Extractor("inception-2015-12-05" if known else weights.stem, features)
