"""The finished stages of a sample system as one folder."""

import json
from pathlib import Path

import torch

from racm3.data.sample_world.things import SHOWN
from racm3.model.export import open_generator
from racm3.recipes.recipe import SampleRecipe
from racm3.retrieval.encoder import ClipEncoder
from racm3.runtime import folder_written_whole, write_whole
from racm3.system.parts import GENERATORS, EmptyShelf, Parts, save_parts, write_sample_vectors
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer


def assemble_sample(recipe: SampleRecipe, run: Path, out: Path) -> None:
    """The finished stages as one system folder in half precision, the memory's vectors beside."""
    encoder = ClipEncoder.open(run / "clip" / "final")
    image = "tokenizer" if recipe.decoder is None else "decoder"
    codec = Codec(TextTokenizer.open(run / "text"), ImageTokenizer.open(run / image / "final"))
    last = {name: run / name / str(recipe.numbers.stop - 1) for name in GENERATORS}
    models = {name: open_generator(folder / "final") for name, folder in last.items()}
    shelf = EmptyShelf(encoder.dim)
    align = recipe.stream.align
    parts = Parts(
        codec, encoder, models, recipe.retriever, shelf, out.name, align, recipe.settings, SHOWN,
        recipe.rephrasing,
    )  # fmt: skip
    learnt = {name: run / name for name in ("tokenizer", "decoder", "clip")}
    learnt |= {
        f"{name}-{number}": run / name / str(number)
        for name in GENERATORS
        for number in recipe.numbers
    }
    # Who is stopped before all of it is there leaves none: one without vectors remembers nothing.
    with folder_written_whole(out) as whole:
        save_parts(parts, whole, dtype=torch.float16)
        write_sample_vectors(whole, encoder)
        for name, folder in learnt.items():
            if (folder / "log.jsonl").exists():
                write_whole(whole / f"{name}.log.jsonl", thinned(folder / "log.jsonl"))


def thinned(log: Path) -> bytes:
    """Every fiftieth update of a log, and all that was validated: enough for a curve."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    told = [json.loads(line) for line in lines]
    kept = (
        line
        for line, one in zip(lines, told, strict=True)
        if one["kind"] != "train" or one["step"] % 50 == 0
    )
    return "".join(kept).encode()
