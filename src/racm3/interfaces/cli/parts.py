"""Verbs that put trained parts together, hand them on and take others' over."""

import os
from pathlib import Path
from typing import Literal

from racm3.model.export import open_generator
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.siglip import open_dual
from racm3.system.averaging import average_systems
from racm3.system.exporting import export_transformers
from racm3.system.exporting import push as upload
from racm3.system.parts import EmptyShelf, Parts, open_parts, save_parts, system_folder
from racm3.system.rephrasing import Rephrasing
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.diffusers import export_vqmodel
from racm3.tokens.vqgan.imports import import_vqgan


def assemble(
    out: Path,
    *,
    tokenizer: Path,
    text: Path,
    clip: Path,
    generators: dict[str, Path],
    align: int = 0,
    sizes: tuple[float, ...] = (1.0,),
    rephrasing: Rephrasing = Rephrasing(),
    retriever: RetrieverConfig = RetrieverConfig(),
    memory: Path | None = None,
) -> None:
    """Put trained parts together as a system that every other verb opens.

    Args:
        out: The system's folder.
        tokenizer: An image tokenizer's folder.
        text: A text tokenizer's folder.
        clip: A CLIP or SigLIP folder.
        generators: Generators by name: '{"racm3": "runs/mine/final"}'.
        align: The `--stream.align` that they were trained with.
        sizes: The sizes in which they know documents' pictures, as shares of a picture: a document
            with one picture is read in all of them. '[1.0, 0.5]' for the sample system's.
        rephrasing: What they read instead of what people type, `--rephrasing.between '{"and|with":
            "beside"}'` for one: between two things that the retriever tells apart.
        retriever: How the system looks documents up: `--retriever.strategy hybrid` also by words.
        memory: What it consults where no other memory is given; it stays where it is.
    """
    encoder = open_dual(clip)
    codec = Codec(TextTokenizer.open(text), ImageTokenizer.open(tokenizer))
    models = {name: open_generator(folder) for name, folder in generators.items()}
    shelf = EmptyShelf(encoder.dim)
    parts = Parts(
        codec,
        encoder,
        models,
        retriever,
        shelf,
        out.name,
        align,
        sizes=sizes,
        rephrasing=rephrasing,
    )
    kept = None if memory is None else os.path.relpath(memory.resolve(), out.resolve())
    save_parts(parts, out, memory=kept)
    print(out)


def average(before: Path, after: Path, out: Path, *, share: float = 0.5) -> None:
    """Average the generators of a system and of one that went on from it.

    Often what a further course taught stays, and much of what it made worse comes back (WiSE-FT,
    Wortsman et al. 2022); the shipped generators are such an average. Everything else is of AFTER.

    Args:
        before: A system's folder, or `sample`.
        after: The folder of a system that went on from it: the tokenizers are the same.
        out: The folder to write.
        share: How much of AFTER: 0 is BEFORE, 1 is AFTER.
    """
    average_systems(system_folder(before), system_folder(after), out, share=share)
    print(out)


def export(
    out: Path,
    *,
    to: Literal["transformers", "diffusers"] = "transformers",
    system: str = "sample",
    generator: str = "racm3",
) -> None:
    """Write a generator as a Qwen3ForCausalLM folder with a tokenizer, for other libraries.

    Args:
        out: The folder to write.
        to: Whose format; `diffusers` writes the image tokenizer as a VQModel instead.
        system: A system's folder, or `sample`.
        generator: Which of its generators.
    """
    from racm3.runtime import device as find_device

    parts = open_parts(system_folder(system), None, find_device("cpu"))
    if to == "diffusers":
        export_vqmodel(parts.codec.image, out)
    else:
        export_transformers(parts, generator, out)
    print(out)


def import_tokenizer(weights: Path, *, out: Path, side: int = 256) -> None:
    """Take a public image tokenizer over: VQGANs of taming-transformers, LlamaGen or Janus.

    Args:
        weights: A .safetensors, .ckpt or .pt file; only tensors are read from it.
        out: The folder to write; `racm3 assemble --tokenizer` takes it.
        side: Picture side in pixels, which the weights do not say.
    """
    tokenizer = ImageTokenizer(import_vqgan(weights, side=side))
    tokenizer.save(out)
    print(f"{out}: {len(tokenizer.grid)} codes of {tokenizer.codes} for {side} x {side} pixels")


def push(folder: Path, repository: str, *, public: bool = False) -> None:
    """Upload an exported folder to a model hub; the only verb that uploads anything.

    Args:
        folder: What `racm3 export` wrote.
        repository: OWNER/NAME on the hub that huggingface_hub is logged in to.
        public: Let everybody see it.
    """
    print(upload(folder, repository, private=not public))
