"""Verbs that prepare and train."""

import sys
from collections.abc import Iterator
from pathlib import Path

from racm3.data.ahead import Tolerance
from racm3.data.fitted import fitted
from racm3.data.prepare import Prepared
from racm3.data.sources import read_source
from racm3.data.stream import StreamConfig
from racm3.errors import ConfigError
from racm3.interfaces.cli.memory import open_encoder
from racm3.model.config import GeneratorConfig
from racm3.recipes import collection
from racm3.recipes.build import STAGES
from racm3.recipes.further import build_of
from racm3.recipes.own import STAGES as OWN_STAGES
from racm3.recipes.own import Own
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.entry import Entry
from racm3.retrieval.memory import MemoryStore
from racm3.retrieval.siglip import Dual
from racm3.runtime import progress
from racm3.system.parts import system_folder
from racm3.tokens.codec import Codec
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.training.clip import ClipTraining
from racm3.training.generator import GeneratorTraining
from racm3.training.loop import LoopConfig
from racm3.training.vqgan import TokenizerTraining


def sample(
    recipe: str = "sample_cpu",
    *,
    out: Path,
    stage: str = "system",
    after: str | None = None,
    device: str = "auto",
) -> None:
    """Train the whole sample system; stopped at any time, the same command goes on.

    Args:
        recipe: sample_cpu (about four hours on two cores), sample_gpu, or tiny (for tests); with
            `after` further_cpu (an hour and a half), course_cpu (an hour, the codes stay),
            dyed_cpu (three and a half hours, dyed things), matching_gpu (minutes of a card:
            documents in any order), ordered_cpu (a quarter of an hour after it), labelled_cpu,
            answering_cpu (half an hour each, labels that mean nothing), settled_cpu and
            captioning_cpu (a quarter of an hour each after these), recalling_cpu (three quarters,
            more of both), decoder_cpu (40 minutes, codes and generators stay), contrast_cpu (35
            minutes, the same for look-alikes), words_cpu (half an hour, a CLIP that tells words
            which it never met), asking_cpu, phrasing_cpu, spaced_cpu, spoken_cpu, spelt_cpu,
            lettered_cpu, coloured_cpu, gathering_cpu and listing_cpu (half an hour to an hour each:
            what people ask for and how they say it, names, dyes, several things), seeing_cpu (ten
            minutes, a CLIP that knows pictures as the system draws them), tiny_further,
            tiny_course, tiny_decoder, tiny_words or tiny_seeing.
        out: The folder of the run; the finished system is in its `system`.
        stage: How far to go: tokenizer, clip, prepared, racm3, cm3, decoder or system (all). What a
            stage needs and is not there yet is made first. Tokenizer and clip may run side by
            side, and so may racm3 and cm3. pack puts the next course of both into OUT/pack for a
            machine with a GPU, which needs nothing else: `python -m racm3.recipes.away train
            OUT/pack RUNS` there; what comes of it belongs into OUT.
        after: A finished sample system to go on from, `sample` for the shipped one: its codebook is
            refined to the recipe's, its generators take one more course, its CLIP stays; where a
            recipe is for one part, all others stay.
        device: auto, cpu or cuda.
    """
    if stage not in STAGES:
        raise ConfigError(f"there is no stage {stage!r}; choose one of {', '.join(STAGES)}")
    getattr(build_of(recipe, out, after=after, on=device), stage)()
    print(out / stage)


def own(
    source: Path,
    *,
    out: Path,
    recipe: str = "own_cpu",
    stage: str = "system",
    clip: str | None = None,
    passes: float | None = None,
    tolerate: int = 0,
) -> None:
    """Train a system for your own captioned pictures.

    Stopped at any time, the same command goes on. Image and text tokenizer, a small CLIP, the
    memory, RA-CM3: then `racm3 draw "..." --system OUT/system`. Run again after adding pictures, it
    adds them to the memory and trains nothing.

    Args:
        source: A folder, COCO JSON, tar shards, Parquet, ... of pictures with captions.
        out: The folder of the run; the finished system is in its `system`.
        recipe: own_cpu (64-pixel pictures), own_gpu (128 pixels), or tiny (for tests).
        stage: How far to go: tokenizer, text, encoder, memory, prepared, racm3, cm3 (the baseline
            without retrieval, which `system` then includes) or system.
        clip: A CLIP or SigLIP folder or hub name to look documents up with; without it a small one
            is trained, which knows these captions only.
        passes: How often the generator may meet a document: 5 times where nothing is said. With
            few documents it draws blurs after these and repeats documents after seventy-five.
        tolerate: How many unreadable documents to accept; they are listed either way.
    """
    if stage not in OWN_STAGES:
        raise ConfigError(f"there is no stage {stage!r}; choose one of {', '.join(OWN_STAGES)}")
    tolerance = Tolerance(tolerate)
    run = Own(source, out, recipe, clip=clip, passes=passes, tolerance=tolerance)
    trains = OWN_STAGES.index(stage) >= OWN_STAGES.index("racm3")
    if trains and not (out / ("cm3" if stage == "cm3" else "racm3") / "final").exists():
        steps, whole = run.training.steps, run.recipe.training.steps
        if steps < whole:
            print(
                f"{len(run.prepared().documents)} documents are few: the generator learns for "
                f"{steps} updates instead of {whole}, after which it would know them by heart "
                "(--passes 75 lets it)",
                file=sys.stderr,
            )
    getattr(run, stage)()
    for problem in tolerance.problems:
        print(f"left out: {problem}", file=sys.stderr)
    if run.stay_removed:
        encoder = clip or out / "clip" / "final"
        print(
            f"{run.stay_removed} were removed from the memory once and stay so; to have them back: "
            f"racm3 memory add {out}/memory {source} --clip {encoder} --again",
            file=sys.stderr,
        )
    print((clip or out / "clip") if stage == "encoder" else out / stage)
    if stage == "system":
        print(f'now: racm3 draw "..." --system {out}/system', file=sys.stderr)


def _entries(source: Path) -> Iterator[Entry]:
    return progress(read_source(source, Tolerance()), label="reading")


def tokenizer(
    source: Path,
    *,
    out: Path,
    model: VQGANConfig = VQGANConfig(),
    training: TokenizerTraining = TokenizerTraining(steps=4000),
    loop: LoopConfig = LoopConfig(steps=4000),
    batch: int = 32,
) -> None:
    """Train an image tokenizer (VQGAN) on the pictures of a source.

    Args:
        source: A folder, COCO JSON, tar shards, Parquet, ...
        out: The folder of the run; the result is in its `final`.
        model: Sizes.
        training: Losses and schedule.
        loop: How long, and how often to save.
        batch: Pictures in a batch.
    """
    documents = fitted(_entries(source), model.side, out)
    collection.train_tokenizer(documents, model, training, loop, out, batch=batch)


def clip(
    source: Path,
    *,
    out: Path,
    training: ClipTraining = ClipTraining(steps=1000),
    loop: LoopConfig = LoopConfig(steps=1000),
    batch: int = 128,
) -> None:
    """Train a small CLIP on the captioned pictures of a source.

    Args:
        source: A folder, COCO JSON, tar shards, Parquet, ...
        out: The folder of the run; the result is in its `final`.
        training: Sizes and schedule.
        loop: How long, and how often to save.
        batch: Pairs in a batch.
    """
    documents = fitted(_entries(source), training.side, out)
    collection.train_clip(documents, training, loop, out, batch=batch)


def text(source: Path, *, out: Path, size: int = 8192) -> None:
    """Train a byte-level BPE text tokenizer on the captions of a source.

    Args:
        source: A folder, COCO JSON, tar shards, Parquet, ...
        out: Where tokenizer.json goes.
        size: Number of ids.
    """
    collection.train_text((entry.document for entry in _entries(source)), out, size=size)


def prepare(
    memory: Path,
    *,
    out: Path,
    system: str = "sample",
    retriever: RetrieverConfig = RetrieverConfig(),
    draws: int = 2,
    depth: int = 2,
    documents: Path | None = None,
) -> None:
    """Make training material of a memory: ids, and neighbours by several dropout draws.

    Args:
        memory: The memory's folder.
        out: The folder to write.
        system: A system whose tokenizers and CLIP are used.
        retriever: What counts as a good neighbour.
        draws: Dropout draws for every document.
        depth: Neighbours kept for every draw (4 for CM3Leon's 2 + 2).
        documents: Another source whose documents are the material (for validation, say); the
            memory then only lends neighbours.
    """
    store, codec = MemoryStore.open(memory), _codec(system)
    encoder = _encoder(system)
    others = list(read_source(documents, Tolerance())) if documents else []
    made = collection.prepare_memory(
        codec, encoder, store, retriever, draws=draws, depth=depth, others=others
    )
    made.save(out)
    store.notes.remember_derived(out)
    print(out)


def _encoder(system: str) -> Dual:
    return open_encoder("sample" if system == "sample" else str(Path(system) / "clip"))


def _codec(system: str) -> Codec:
    folder = system_folder(system)
    return Codec(TextTokenizer.open(folder / "text"), ImageTokenizer.open(folder / "tokenizer"))


def generator(
    prepared: Path,
    *,
    out: Path,
    stream: StreamConfig,
    loop: LoopConfig,
    training: GeneratorTraining = GeneratorTraining(),
    model: GeneratorConfig | None = None,
    start_from: Path | None = None,
    extend: bool = False,
    validation: Path | None = None,
    system: str = "sample",
    live: Path | None = None,
    retriever: RetrieverConfig = RetrieverConfig(),
    codes_alike: bool = False,
) -> None:
    """Train RA-CM3 on prepared material, or vanilla CM3 with --stream.neighbours none.

    Args:
        prepared: What `racm3 prepare` wrote.
        out: The folder of the run; the result is in its `final`.
        stream: Rows, length, neighbours, K, masking.
        training: Learning rate, alpha, precision, ...
        loop: How long, and how often to save.
        model: The generator's size, for a fresh start.
        start_from: Or a trained generator's folder to go on from (fine-tuning CM3 into RA-CM3).
        extend: The folder to start from is a Qwen3 language model, whose tokenizer.json is the
            system's text tokenizer: codes and markers are added to its embedding.
        validation: Prepared material that is only looked at, for image and text perplexity.
        system: A system whose tokenizers made the material.
        live: The memory that the material was made of, to look neighbours up anew for every
            sample instead of using the prepared ones; for small memories.
        retriever: What counts as a good neighbour there.
        codes_alike: Let codes that look alike begin with embeddings that are alike, as those of the
            sample system do.
    """
    material, asked = Prepared.open(prepared), None
    if live is not None:
        store = MemoryStore.open(live)
        asked = collection.live_neighbours(material, _encoder(system), store, retriever)
    codec = _codec(system)
    codes = codec.image.vqgan.codebook.vectors if codes_alike else None
    collection.train_generator(
        codec.vocabulary,
        material,
        collection.Beginning(model, start_from, extend, codes),
        training,
        stream,
        loop=loop,
        folder=out,
        validation=Prepared.open(validation) if validation else None,
        live=asked,
    )
