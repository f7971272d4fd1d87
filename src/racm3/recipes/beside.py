"""Lessons whose documents are given, not looked up: what each is shown beside."""

import numpy as np

from racm3.data.sample_world import corpus
from racm3.data.sample_world.scenes import USUAL, Chances, Scene
from racm3.data.sample_world.things import SHOWN, Thing
from racm3.document import Document, Image
from racm3.recipes.lessons import Fiction, Lessons
from racm3.retrieval.embedding import Encoder, embed, embed_memory
from racm3.retrieval.index import ExactIndex
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice
from racm3.tokens.masking import Words

DEMONSTRATIONS, LABELS, LIKE = 67, 73, 77


def pictured(
    count: int,
    fiction: Fiction,
    encoder: Encoder,
    *,
    seed: int = 3,
    chances: Chances = USUAL,
    words: Words = Words.OPEN,
    silent: bool = False,
) -> Lessons:
    """Scenes of one fictional thing each, beside what whoever captions would find by the picture.

    A CLIP finds nearly all that it has met, and it has met no fictional thing: so the right
    document comes first, and after it what looks most like the scene and is called something else.
    A `silent` scene has no words at all, as a picture that is filled in without any.
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
    told = [document.only(Image) for document in documents] if silent else documents
    return Lessons(told, ListShelf(known, vectors), neighbours=neighbours, words=words)


def paired(
    count: int, fiction: Fiction, dim: int, *, seed: int = 6, chances: Chances = USUAL
) -> Lessons:
    """Scenes of two fictional things each whose words are asked for, beside both in their order, as
    a picture's halves find them; where one stands there twice, beside it alone: whoever read two
    then said of two things that they were two of the first."""
    drawn = corpus.scenes(fiction.things, count, seed=seed, pairs=1.0, chances=chances)
    place = {thing.name: row for row, thing in enumerate(fiction.things)}
    both = [[place[thing.name] for thing in scene.things] for scene, _ in drawn]
    neighbours = [(one, -1 if one == other else other) for one, other in both]
    documents = [document for _, document in drawn]
    memory, found = fiction.memory(dim), np.array(neighbours)[:, None]
    return Lessons(documents, memory, neighbours=found, words=Words.ASKED)


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


def _called(thing: Thing, name: str) -> Thing:
    return Thing(name, thing.keywords, thing.group, thing.held_out, thing.rgba)


def _under_its_name(scene: Scene) -> Document:
    return Document.of(scene.things[0].name, scene.draw())


def _labelled(thing: Thing, rng: np.random.Generator) -> Document:
    return _under_its_name(Scene.random([thing], rng, count=1))
