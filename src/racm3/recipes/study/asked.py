"""What trained generators are asked, and what they answered: arrays, one entry a document."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from racm3.document import Document, Image, fit
from racm3.errors import ConfigError
from racm3.evaluation import fewshot, fidelity, perplexity
from racm3.evaluation.captions import cider, coco_scores, words
from racm3.evaluation.copying import CopyMeter
from racm3.evaluation.features import tokenizer_features
from racm3.evaluation.recall import FORMS, table_four
from racm3.generation.guidance import Guidance
from racm3.generation.sampling import Sampling
from racm3.generation.tasks import draw_task
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.learnt import RACM3 as PLAIN
from racm3.recipes.study.learnt import (
    Learnt,
    Modality,
    Neighbours,
    Strategy,
    learn,
    retriever_config,
    unusual,
)
from racm3.recipes.study.worlds import StoredEncoder, World
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf, Shelf, joined
from racm3.runtime import dice, folder_written_whole
from racm3.sharing import alone
from racm3.system import RACM3, Settings
from racm3.system.fewshot import By
from racm3.system.many import numbered
from racm3.system.parts import Parts
from racm3.system.results import Consulted
from racm3.tokens.codec import Kind

BASELINE_AMONG = 16
Measure = Literal["perplexity", "drawings", "captions", "few-shot", "recall"]
Answers = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One measurement: which generator, and how it is asked.

    Args:
        learnt: The generator; None asks the retriever alone (the papers' retrieval baseline).
        measure: What is measured.
        neighbours: What it consults: retrieved documents, random ones, or none.
        documents: K.
        strategy: How documents are found.
        modality: How much of a document is read.
        guidance: Guidance weight.
        sampling: top_p, cd_k or half.
        candidates: N of best-of-N; None is the budget's.
        shots: k of few-shot episodes.
        by: What few-shot asks the probability of: the label (as RA-CM3 does) or the picture.
        share: Share of the memory that is there.
        whole: Whether recall wants whole documents, or the side of them that did not ask.
    """

    learnt: Learnt | None = PLAIN
    measure: Measure = "perplexity"
    neighbours: Neighbours = "retrieved"
    documents: int = 2
    strategy: Strategy = "clip"
    modality: Modality = "document"
    guidance: float = 1.0
    sampling: Literal["top_p", "cd_k", "half"] = "top_p"
    candidates: int | None = None
    shots: int = 1
    by: By = "label"
    share: float = 1.0
    whole: bool = True

    @property
    def key(self) -> str:
        """A folder's name: the generator, and what differs from the usual question."""
        who = self.learnt.key if self.learnt else "retrieval"
        return "-".join([who, self.measure, *unusual(self, "learnt", "measure")])


def answer(asked: Asked, world: World, budget: Budget, folder: Path) -> Answers:
    """Measured once, then read back."""
    place = answer_of(asked, folder)
    with alone(place):
        if not place.exists():
            found = MEASURES[asked.measure](asked, world, budget, folder)
            with folder_written_whole(place) as temporary:
                np.savez(temporary / "answers.npz", allow_pickle=False, **found)
    with np.load(place / "answers.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def answer_of(asked: Asked, folder: Path) -> Path:
    """Where an answer lives in a study's folder."""
    return folder / "answers" / asked.key


def _memory(asked: Asked, world: World) -> Shelf:
    """The memory, or a random part of it where it is to grow; a larger part holds the smaller."""
    if asked.share == 1:
        return world.open_memory
    table = joined(world.open_memory.blocks(), world.encoder.dim)
    kept = round(asked.share * len(table.ids))
    rows = np.sort(dice(71).permutation(len(table.ids))[:kept])
    some = table.take(rows)
    documents = world.open_memory.documents(some.ids.tolist())
    return ListShelf(documents, some.vectors, some.groups)


def _system(asked: Asked, world: World, budget: Budget, folder: Path) -> RACM3:
    assert asked.learnt is not None
    config = retriever_config(
        world, strategy=asked.strategy, modality=asked.modality, diverse=True, dropout=0.0
    )
    if asked.neighbours == "random":
        config = replace(config, strategy="random")
    model = learn(asked.learnt, world, budget, folder)
    generators = {"racm3": model}
    return RACM3(
        Parts(
            world.codec, world.encoder, generators, config, _memory(asked, world), world.name,
            world.align, sizes=world.sizes,
        )
    )  # fmt: skip


def _settings(asked: Asked, budget: Budget, number: int) -> Settings:
    return Settings(
        seed=number,
        documents=0 if asked.neighbours == "none" else asked.documents,
        candidates=asked.candidates or budget.candidates,
        sampling=Sampling(strategy=asked.sampling),
        guidance=Guidance(weight=asked.guidance),
    )


def perplexities(asked: Asked, world: World, budget: Budget, folder: Path) -> Answers:
    system, found = _system(asked, world, budget, folder), Answers()
    retriever, known = system.library.retriever(), world.unseen
    count = 0 if asked.neighbours == "none" else asked.documents
    how: perplexity.Neighbours = "random" if asked.neighbours == "random" else "retrieved"
    # BM25 has no words to search by where the text is what is to be predicted.
    kinds = (Kind.IMAGE,) if asked.strategy == "bm25" else (Kind.IMAGE, Kind.TEXT)
    for kind in kinds:
        shown = perplexity.look_up(retriever, known, kind, count, neighbours=how)
        losses, counts = perplexity.document_losses(system.voice, known, shown, kind)
        name = "image" if kind is Kind.IMAGE else "text"
        found |= {f"{name}_losses": losses, f"{name}_counts": counts}
    found["image_values"] = np.full(len(known), 3 * world.codec.image.side**2)
    return found


def _best_known(asked: Asked, world: World, queries: list[Document]) -> list[Document]:
    """The retrieval baseline's answers: each query's nearest document with both sides."""
    config = retriever_config(
        world, strategy=asked.strategy, modality="document", diverse=False, dropout=0.0
    )
    retriever = Retriever(world.encoder, _memory(asked, world), config)
    best = []
    for found in retriever.neighbours(queries, BASELINE_AMONG, rng=np.random.default_rng(0)):
        whole = [one for one in retriever.fetch(found) if one.images and one.text.strip()]
        if not whole:
            raise ConfigError(
                f"none of the {BASELINE_AMONG} nearest documents has both a text and a picture to "
                "answer with; leave tables 2 and 3 out, whose retrieval baseline needs them"
            )
        best.append(whole[0])
    return best


def drawings(asked: Asked, world: World, budget: Budget, folder: Path) -> Answers:
    wanted = list(world.unseen[: budget.drawings])
    consulted: list[list[Image]] = [[] for _ in wanted]
    if asked.learnt is None:
        known = _best_known(asked, world, [Document.of(one.text) for one in wanted])
        made = [one.images[0] for one in known]
        consulted = [[image] for image in made]
    else:
        system = _system(asked, world, budget, folder)

        def drawn(number: int) -> Image:
            text, settings = wanted[number].text, _settings(asked, budget, number)
            read = system.consult(Document.of(text), settings)
            consulted[number] = [image for known in read for image in known.document.images]
            return _draw(system, text, read, settings)

        made = list(numbered(system, len(wanted), drawn, label=f"drawing {asked.key}"))
    found = _judged_pictures(made, wanted, world)
    found["pictures"] = np.stack([fit(one, world.codec.image.side).pixels for one in made])
    if not isinstance(world.encoder, StoredEncoder):
        everything = Retriever(world.encoder, _memory(asked, world)).index
        meter = CopyMeter(world.codec.image, world.encoder, everything)
        copied = [meter(a, b) for a, b in zip(made, consulted, strict=True)]
        found |= {"copied_in_place": np.array([one.in_place for one in copied])}
        found |= {"copied_blocks": np.array([one.blocks for one in copied])}
        found |= {"nearest_consulted": np.array([one.consulted for one in copied])}
        found |= {"nearest_in_memory": np.array([one.memory for one in copied])}
    return found


def _draw(
    system: RACM3, caption: str, consulted: tuple[Consulted, ...], settings: Settings
) -> Image:
    """The best of the candidates, or the first where the retriever cannot see new pictures."""
    if not isinstance(system.encoder, StoredEncoder):
        return system.draw(caption, settings, like=[one.document for one in consulted]).image
    codec = system.codec
    task = draw_task(system.voice.text(caption), len(codec.image.grid), codec.vocabulary)
    return codec.picture(system.voice.say(task, consulted, settings)[0].ids)


def _judged_pictures(made: list[Image], wanted: list[Document], world: World) -> Answers:
    features = tokenizer_features(world.codec.image)
    found = {"features": features(made), "real_features": features([d.images[0] for d in wanted])}
    if not isinstance(world.encoder, StoredEncoder):
        said = world.encoder.texts([document.text for document in wanted])
        texts = world.encoder.sides.apart(said).meaning
        cosines = (world.encoder.images(made) * texts).sum(axis=1)
        # Hessel et al. 2021; 2.5 is their scale.
        found["clipscore"] = 2.5 * np.maximum(cosines, 0)
    if world.scenes:
        pairs = zip(made, world.scenes, strict=False)
        found["fidelity"] = np.array([float(fidelity.faithful(p, s)) for p, s in pairs])
    return found


def captions(asked: Asked, world: World, budget: Budget, folder: Path) -> Answers:
    pictures = [document.images[0] for document in world.unseen[: budget.drawings]]
    if asked.learnt is None:
        known = _best_known(asked, world, [Document.of(picture) for picture in pictures])
        said = [document.text for document in known]
    else:
        system = _system(asked, world, budget, folder)

        def described(number: int) -> str:
            return system.caption(pictures[number], _settings(asked, budget, number)).text

        said = list(numbered(system, len(pictures), described, label=f"describing {asked.key}"))
    right = [[words(text) for text in some] for some in world.references[: len(pictures)]]
    spoken = [words(text) for text in said]
    scores = {"cider-d": cider(spoken, right), **coco_scores(spoken, right)}
    if world.scenes:
        pairs = zip(said, world.scenes, strict=False)
        scores["named"] = np.array([float(s.things[0].name in text) for text, s in pairs])
    return scores


def few_shot(asked: Asked, world: World, budget: Budget, folder: Path) -> Answers:
    system = _system(asked, world, budget, folder)
    some = fewshot.episodes(world.classes, budget.episodes, k=asked.shots, seed=0)
    return {"right": np.array(fewshot.right_answers(system, some, by=asked.by))}


def recall(asked: Asked, world: World, *_: object) -> Answers:
    """Table 4 among the unseen documents, whatever generator stands beside the retriever.

    Words ask with another caption of the same picture than the document holds.
    """
    asking = [
        Document.of(another(one, said), *one.images)
        for one, said in zip(world.unseen, world.references, strict=True)
    ]
    return {
        f"recall by {side}": table_four(
            world.encoder, world.unseen, (side, wanted), k=1, asking=asking
        ).astype(float)
        for side, wanted in FORMS
        if (wanted == "document") == asked.whole
    }


def another(document: Document, captions: Sequence[str]) -> str:
    """The first caption that the document does not hold, or its own where there is no other."""
    return next((one for one in captions if one != document.text), document.text)


MEASURES: dict[Measure, Callable[[Asked, World, Budget, Path], Answers]] = {
    "perplexity": perplexities,
    "drawings": drawings,
    "captions": captions,
    "few-shot": few_shot,
    "recall": recall,
}
