"""Filling a memory with photographs, beside a plain loop that reads and encodes them.

    OMP_NUM_THREADS=2 python benchmarks/filling.py

A CLIP of ViT-B/32's size (weights at random) encodes files as a phone or the web has them. The loop
is Pillow and `transformers`, and keeps no more than vectors; ours stores pictures, words and
fingerprints, and is asked once more when all are there.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import arguments, seconds, show
from PIL import Image as PIL

from racm3.data.sources import find_source
from racm3.recipes.remembering import fill_memory
from racm3.retrieval.clip import TEXT_DEFAULTS, VISION_DEFAULTS, Clip, ClipConfig, TowerConfig
from racm3.retrieval.encoder import ClipEncoder, Preprocessing
from racm3.retrieval.memory import MemoryStore
from racm3.runtime import device
from racm3.system.parts import sample_folder
from racm3.tokens.text import open_tokenizer

MEAN, STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)
BATCH = 64


def photographs(folder: Path, count: int, width: int, height: int) -> None:
    """Coarse shapes under fine noise, as JPEG, each with a caption beside it."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 255, (height // 64, width // 64, 3)).astype(np.uint8)
        smooth = PIL.fromarray(coarse).resize((width, height), PIL.Resampling.BICUBIC)
        noisy = np.asarray(smooth, np.int16) + rng.integers(-6, 7, (height, width, 1))
        picture = PIL.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{number}.jpg", quality=90)
        (folder / f"{number}.txt").write_text(f"photograph number {number}")


def clip_folder(folder: Path, layers: int) -> Path:
    torch.manual_seed(0)
    text, vision = (
        TowerConfig(**{**values, "num_hidden_layers": layers})
        for values in (TEXT_DEFAULTS, VISION_DEFAULTS)
    )
    config = ClipConfig(text_config=text, vision_config=vision, projection_dim=512)
    tokenizer = open_tokenizer(sample_folder() / "clip" / "tokenizer.json")
    preprocess = Preprocessing(resize=224, crop=224, mean=MEAN, std=STD)
    ClipEncoder(Clip(config), tokenizer, preprocess, name="vit-b-32").save(folder)
    return folder


def main() -> None:
    what = "documents per second while filling a memory"
    chosen = arguments(what, documents=128, repeats=3, large=32, layers=12)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as place:
        clip = clip_folder(Path(place) / "clip", chosen.layers)
        for width, height, count in ((500, 375, chosen.documents), (4032, 3024, chosen.large)):
            folder = Path(place) / f"{width}"
            folder.mkdir()
            photographs(folder, count, width, height)
            rows += measured(folder, clip, f"{width}x{height}", count, chosen.repeats)
    show(rows, chosen)


def measured(
    folder: Path, clip: Path, size: str, count: int, repeats: int
) -> list[dict[str, object]]:
    encoder, loop = ClipEncoder.open(clip, device=device("auto")), plain_loop(folder, clip)
    full = tempfile.mkdtemp(dir=folder.parent)
    fill(Path(full), folder, encoder)

    def anew(precision: str) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as empty:
            fill(Path(empty), folder, encoder, precision)

    runs = {
        "racm3": partial(anew, "fp32"),
        "racm3, bf16": partial(anew, "bf16"),
        "racm3, all there": lambda: fill(Path(full), folder, encoder),
        "Pillow and transformers": loop,
    }
    taken = seconds(runs, repeats=repeats)
    base = taken["Pillow and transformers"]
    return [
        {
            "pictures": size, "by": name, "documents/s": round(count / value, 1),
            "ratio": round(base / value, 2),
        }
        for name, value in taken.items()
    ]  # fmt: skip


def fill(memory: Path, source: Path, encoder: ClipEncoder, precision: str = "fp32") -> None:
    if (memory / "about.json").exists():
        store = MemoryStore.open(memory)
    else:
        store = MemoryStore.create(memory, encoder=encoder.name, dim=encoder.dim)
    fill_memory(store, find_source(source), encoder, precision=precision)


def plain_loop(folder: Path, clip: Path):
    from transformers import CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    model = CLIPModel.from_pretrained(clip).to(device("auto")).eval()
    processor = CLIPImageProcessor.from_pretrained(clip)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(clip, pad_token="<|endoftext|>")
    files = sorted(folder.glob("*.jpg"))

    @torch.inference_mode()
    def run() -> None:
        for start in range(0, len(files), BATCH):
            some = files[start : start + BATCH]
            pictures = [PIL.open(file).convert("RGB") for file in some]
            said = [file.with_suffix(".txt").read_text() for file in some]
            words = tokenizer(said, padding=True, return_tensors="pt").to(model.device)
            pixels = processor(pictures, return_tensors="pt").pixel_values
            model.get_image_features(pixels.to(model.device))
            model.get_text_features(words.input_ids, words.attention_mask)

    return run


if __name__ == "__main__":
    main()
