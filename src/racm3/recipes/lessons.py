"""Documents to learn from, each beside the memory that its neighbours are found in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add

import numpy as np
from jaxtyping import Int64

from racm3.data.prepare import Prepared, prepare
from racm3.data.sample_world import corpus
from racm3.data.sample_world.fictional import fictional_things
from racm3.data.sample_world.scenes import USUAL, Chances, Scene
from racm3.data.sample_world.things import SHOWN, Thing, seen_things
from racm3.data.sample_world.wording import worded
from racm3.document import Document, Image
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Encoder, embed, embed_memory
from racm3.retrieval.index import ExactIndex
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice
from racm3.tokens.codec import Codec
from racm3.tokens.masking import Words

DEMONSTRATIONS, OWN, LABELS, HINTS, EMPTY, TWO, LIKE = 67, 69, 73, 74, 75, 76, 77
# How often a picture stands on white whose words do not say on what.
WHITE = 0.5


@dataclass(frozen=True)
class Lessons:
    """What a generator learns from.

    Args:
        documents: The documents.
        memory: What their neighbours are found in.
        groups: What each document must not neighbour; none where nothing is forbidden.
        worded: Look neighbours up by words, however the run asks.
        neighbours: What each document is shown beside, where that is not looked up.
        words: What becomes of their words.
    """

    documents: Sequence[Document]
    memory: ListShelf
    groups: Sequence[frozenset[str]] | None = None
    worded: bool = False
    neighbours: Int64[np.ndarray, "docs draws depth"] | None = None
    words: Words = Words.OPEN


@dataclass(frozen=True)
class Fiction:
    """Things that never were.

    Args:
        number: How many.
        seed: Which.
        own: The share that people have made their own: in their words, with one picture.
    """

    number: int
    seed: int = 0
    own: float = 0.0

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        made = list(fictional_things(seen_things(), self.number, seed=self.seed))
        for row, thing in enumerate(made):
            rng = dice(self.seed, OWN, row)
            if rng.random() < self.own:
                made[row] = worded(thing, rng)
        return tuple(made)


def seen(count: int, memory: ListShelf, *, seed: int = 0, chances: Chances = USUAL) -> Lessons:
    """Scenes of the sample world's seen things beside the memory of these."""
    return Lessons(corpus.lessons(seen_things(), count, seed=seed, chances=chances), memory)


def fictional(
    count: int, fiction: Fiction, dim: int, *, seed: int = 2, chances: Chances = USUAL
) -> Lessons:
    """Scenes of fictional things beside theirs.

    A made-up name means nothing to a frozen CLIP, so these are looked up by their words.
    """
    drawn = corpus.lessons(fiction.things, count, seed=seed, chances=chances)
    return Lessons(drawn, _unseen_by_clip(fiction.things, dim), worded=True)


def dyed(
    count: int, fiction: Fiction, dim: int, *, seed: int = 7, chances: Chances = USUAL
) -> Lessons:
    """Scenes of one fictional thing each in another colour than its document's, to be drawn.

    Whoever has to describe such scenes says of everything that it is dyed (docs/log.md), so nobody
    is asked to.
    """
    always = replace(chances, dyed=1.0)
    drawn = corpus.scenes(fiction.things, count, seed=seed, pairs=0.0, chances=always)
    memory = _unseen_by_clip(fiction.things, dim)
    return Lessons([document for _, document in drawn], memory, worded=True, words=Words.GIVEN)


def hinted(
    count: int, fiction: Fiction, dim: int, *, seed: int = 1, chances: Chances = USUAL
) -> Lessons:
    """Scenes of one fictional thing each, whose words are a name and little else: what they stand
    on is seen where a part of the picture is left, and mostly white where none is."""
    drawn = corpus.scenes(fiction.things, count, seed=seed, pairs=0.0, chances=chances)
    documents = list[Document]()
    for number, (scene, _) in enumerate(drawn):
        rng = dice(seed, HINTS, number)
        if rng.random() < WHITE:
            scene = replace(scene, colour="white", texture="plain")
        documents.append(Document.of(str(rng.choice(scene.hints())), scene.draw()))
    memory = _unseen_by_clip(fiction.things, dim)
    return Lessons(documents, memory, worded=True, words=Words.GIVEN)


def empty(
    count: int, fiction: Fiction, dim: int, *, seed: int = 5, chances: Chances = USUAL
) -> Lessons:
    """Backgrounds with nothing on them, beside whatever their words find: so a thing can be taken
    out of a picture."""
    drawn = corpus.scenes(fiction.things, count, seed=seed, chances=chances)
    documents = [
        scene.showing().document(dice(seed, EMPTY, number))
        for number, (scene, _) in enumerate(drawn)
    ]
    return Lessons(documents, _unseen_by_clip(fiction.things, dim), worded=True)


def paired(
    count: int, fiction: Fiction, dim: int, *, seed: int = 6, chances: Chances = USUAL
) -> Lessons:
    """Scenes of two fictional things each whose words are asked for, beside both in their order, as
    a picture's halves find them; where one stands there twice, beside it and another one."""
    drawn = corpus.scenes(fiction.things, count, seed=seed, pairs=1.0, chances=chances)
    place = {thing.name: row for row, thing in enumerate(fiction.things)}
    neighbours = []
    for number, (scene, _) in enumerate(drawn):
        one, other = (place[thing.name] for thing in scene.things)
        if one == other:
            others = dice(seed, TWO, number).integers(1, fiction.number)
            other = (one + int(others)) % fiction.number
        neighbours.append((one, other))
    documents = [document for _, document in drawn]
    memory, found = _unseen_by_clip(fiction.things, dim), np.array(neighbours)[:, None]
    return Lessons(documents, memory, neighbours=found, words=Words.ASKED)


def likened(
    count: int, fiction: Fiction, dim: int, *, seed: int = 4, chances: Chances = USUAL
) -> Lessons:
    """Scenes of one fictional thing each, to be drawn after another scene of it, which has no words
    or its name, and perhaps one of another thing after it."""
    drawn = corpus.scenes(fiction.things, count, seed=seed, pairs=0.0, chances=chances)
    shown, neighbours = list[Document](), list[tuple[int, int]]()
    for number, (scene, _) in enumerate(drawn):
        rng = dice(seed, LIKE, number)
        neighbours.append((len(shown), len(shown) + 1))
        for thing in (scene.things[0], fiction.things[rng.integers(fiction.number)]):
            example = _labelled(thing, rng).in_sizes(SHOWN)
            shown.append(example if rng.random() < 0.5 else example.only(Image))
    memory = ListShelf(shown, np.zeros((len(shown), dim), np.float32))
    documents, found = [document for _, document in drawn], np.array(neighbours)[:, None]
    return Lessons(documents, memory, neighbours=found, words=Words.GIVEN)


def pictured(
    count: int,
    fiction: Fiction,
    encoder: Encoder,
    *,
    seed: int = 3,
    chances: Chances = USUAL,
    words: Words = Words.OPEN,
) -> Lessons:
    """Scenes of one fictional thing each, beside what whoever captions would find by the picture.

    A CLIP finds nearly all that it has met, and it has met no fictional thing: so the right
    document comes first, and after it what looks most like the scene and is called something else.
    """
    made_up = fiction.things
    known = [thing.document() for thing in made_up]
    vectors = embed_memory(encoder, [document.only(Image) for document in known])
    drawn = corpus.scenes(made_up, count, seed=seed, pairs=0.0, chances=chances)
    documents = [document for _, document in drawn]
    place = {thing.name: row for row, thing in enumerate(made_up)}
    right = np.array([place[scene.things[0].name] for scene, _ in drawn])
    looks = embed(encoder, [document.only(Image) for document in documents])
    found = ExactIndex.of(np.arange(fiction.number), vectors).search(looks, 2).ids
    other = np.where(found[:, 0] == right, found[:, 1], found[:, 0])
    neighbours = np.stack([right, other], axis=1)[:, None]
    return Lessons(documents, ListShelf(known, vectors), neighbours=neighbours, words=words)


def demonstrated(count: int, fiction: Fiction, dim: int, *, seed: int = 4) -> Lessons:
    """Scenes of one fictional thing each, called by its bare name, beside two labelled scenes.

    One of these shows the same thing, one another, in either order.
    """
    made_up, rng = fiction.things, dice(seed, DEMONSTRATIONS)
    examples = [_labelled(thing, rng) for thing in made_up]
    shown = rng.integers(fiction.number, size=count)
    other = (shown + rng.integers(1, fiction.number, size=count)) % fiction.number
    neighbours = rng.permuted(np.stack([shown, other], axis=1), axis=1)[:, None]
    documents = [_labelled(made_up[row], rng) for row in shown]
    shelf = ListShelf(examples, np.zeros((fiction.number, dim), np.float32))
    return Lessons(documents, shelf, neighbours=neighbours)


def labelled(
    count: int,
    fiction: Fiction,
    dim: int,
    *,
    seed: int = 8,
    same: float = 0.5,
    entries: float = 0.0,
) -> Lessons:
    """Pictures of one fictional thing each whose words are asked for after two documents, of the
    same thing and of another one, in either order.

    Every lesson deals two names anew from the words of all names, so that nothing helps but to
    compare pictures. The documents are labelled scenes and the label is asked for; a share `same`
    shows the very picture of the example, where that is easiest to find out (docs/log.md). A share
    `entries` has the things as a memory shows them instead, and a caption that says the name.
    """
    words = sorted({word for thing in fiction.things for word in thing.name.split()})
    shown, documents, neighbours = list[Document](), list[Document](), list[list[int]]()
    for number in range(count):
        rng = dice(seed, LABELS, number)
        rows = rng.choice(fiction.number, 2, replace=False)
        pair = [
            _called(fiction.things[row], str(name))
            for row, name in zip(rows, rng.choice(words, 2, replace=False), strict=True)
        ]
        scenes = [Scene.random([thing], rng, count=1) for thing in pair]
        asked = scenes[0] if rng.random() < same else Scene.random(pair[:1], rng, count=1)
        neighbours.append((len(shown) + rng.permutation(2)).tolist())
        if rng.random() < entries:
            shown += [thing.document() for thing in pair]
            documents.append(asked.document(rng))
        else:
            shown += [_under_its_name(scene) for scene in scenes]
            documents.append(_under_its_name(asked))
    shelf = ListShelf(shown, np.zeros((len(shown), dim), np.float32))
    return Lessons(documents, shelf, neighbours=np.array(neighbours)[:, None], words=Words.ASKED)


def _called(thing: Thing, name: str) -> Thing:
    return Thing(name, thing.keywords, thing.group, thing.held_out, thing.rgba)


def _under_its_name(scene: Scene) -> Document:
    return Document.of(scene.things[0].name, scene.draw())


def _labelled(thing: Thing, rng: np.random.Generator) -> Document:
    return _under_its_name(Scene.random([thing], rng, count=1))


def _unseen_by_clip(things: Sequence[Thing], dim: int) -> ListShelf:
    """A memory of these that no vector looks up."""
    documents = [thing.document() for thing in things]
    return ListShelf(documents, np.zeros((len(things), dim), np.float32))


def prepare_lessons(
    codec: Codec,
    encoder: Encoder,
    lessons: Sequence[Lessons],
    config: RetrieverConfig,
    *,
    draws: int,
    depth: int = 2,
) -> Prepared:
    """All of them as one training material."""
    worded = replace(config, strategy="bm25", query="text")
    return reduce(
        add,
        (
            prepare(
                codec,
                some.documents,
                Retriever(encoder, some.memory, worded if some.worded else config),
                groups=some.groups,
                draws=draws,
                depth=depth,
                neighbours=some.neighbours,
                words=some.words,
            )
            for some in lessons
        ),
    )
