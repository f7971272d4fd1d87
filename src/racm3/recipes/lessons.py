"""Documents to learn from, each beside the memory that its neighbours are found in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from operator import add

import numpy as np
from jaxtyping import Int64

from racm3.data.prepare import prepare
from racm3.data.prepared import Prepared, TokenTable
from racm3.data.sample_world import corpus, phrasing
from racm3.data.sample_world.fictional import Namer, fictional_things, no_name
from racm3.data.sample_world.scenes import USUAL, Chances, Scene
from racm3.data.sample_world.things import Thing, seen_things
from racm3.data.sample_world.wording import worded
from racm3.document import Document
from racm3.retrieval.config import RetrieverConfig
from racm3.retrieval.embedding import Encoder
from racm3.retrieval.retriever import Retriever
from racm3.retrieval.shelf import ListShelf
from racm3.runtime import dice
from racm3.tokens.codec import Codec
from racm3.tokens.masking import Words

OWN, HINTS, EMPTY, PHRASED, GATHERED = 69, 74, 75, 78, 80
# How many of the scenes in people's words show two things, and how many show seen ones.
IN_PAIRS, FAMILIAR = 0.7, 0.3
# How many of the scenes of more than two things show three, and in how many some are dyed.
THREES, COLOURED = 0.67, 0.2
# How often these are joined by words that backgrounds have.
SO_JOINED = 0.4
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
        spelling: What names some of them.
    """

    number: int
    seed: int = 0
    own: float = 0.0
    spelling: Namer = no_name

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        made = list(
            fictional_things(seen_things(), self.number, seed=self.seed, namer=self.spelling)
        )
        for row, thing in enumerate(made):
            rng = dice(self.seed, OWN, row)
            if rng.random() < self.own:
                made[row] = worded(thing, rng)
        return tuple(made)

    def memory(self, dim: int, *, and_seen: bool = False) -> ListShelf:
        """A memory of these, and of the seen ones, that no vector looks up; each is made once."""
        if (made := self._memories.get((dim, and_seen))) is None:
            every = (*self.things, *(seen_things() if and_seen else ()))
            vectors = np.zeros((len(every), dim), np.float32)
            made = ListShelf([thing.document() for thing in every], vectors)
            self._memories[dim, and_seen] = made
        return made

    @cached_property
    def _memories(self) -> dict[tuple[int, bool], ListShelf]:
        return {}


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
    return Lessons(drawn, fiction.memory(dim), worded=True)


def dyed(
    count: int,
    fiction: Fiction,
    dim: int,
    *,
    seed: int = 7,
    pairs: float = 0.0,
    chances: Chances = USUAL,
) -> Lessons:
    """Scenes of fictional things in other colours than their documents', to be drawn: of one thing,
    or of two in a share of `pairs`, of which those of one thing twice are left as they are.

    Whoever has to describe such scenes says of everything that it is dyed (docs/log.md), so nobody
    is asked to.
    """
    always = replace(chances, dyed=1.0, coloured=1.0)
    drawn = corpus.scenes(fiction.things, count, seed=seed, pairs=pairs, chances=always)
    documents = [document for _, document in drawn]
    return Lessons(documents, fiction.memory(dim), worded=True, words=Words.GIVEN)


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
    return Lessons(documents, fiction.memory(dim), worded=True, words=Words.GIVEN)


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
    return Lessons(documents, fiction.memory(dim), worded=True)


def phrased(
    count: int, fiction: Fiction, dim: int, *, seed: int = 10, chances: Chances = USUAL
) -> Lessons:
    """Scenes of fictional or of seen things, two in most, to be drawn, in the words that people
    use: who knows a thing by heart has to be told as well that `with` says of another one. Such
    words are the more frequent since most of what is said with them is what a thing stands on."""
    known, familiar = seen_things(), round(count * FAMILIAR)
    some = partial(corpus.scenes, seed=seed, pairs=IN_PAIRS, chances=chances)
    drawn = [*some(fiction.things, count - familiar), *some(known, familiar)]
    say = partial(phrasing.phrased, ways=phrasing.AS_GROUNDS, share=SO_JOINED)
    documents = [
        Document.of(say(scene, dice(seed, PHRASED, number)), scene.draw())
        for number, (scene, _) in enumerate(drawn)
    ]
    memory = fiction.memory(dim, and_seen=True)
    return Lessons(documents, memory, worded=True, words=Words.GIVEN)


def gathered(
    count: int,
    fiction: Fiction,
    dim: int,
    *,
    seed: int = 9,
    chances: Chances = USUAL,
    words: Words = Words.GIVEN,
    repeated: float = 0.0,
) -> Lessons:
    """Scenes of three or four things each, fictional or seen ones, after a document for each place:
    to be drawn, half of them in people's words and some dyed, after one where all places show the
    same, as such words find it; or their words are asked for. A share `repeated` shows fewer
    things, some of them more than once."""
    known, asked = seen_things(), words is Words.ASKED
    chances = replace(chances, coloured=0.0 if asked else COLOURED)
    place = {thing: row for row, thing in enumerate((*fiction.things, *known))}
    documents, neighbours = list[Document](), np.full((count, 1, 4), -1)
    for number in range(count):
        rng = dice(seed, GATHERED, number)
        which = known if rng.random() < FAMILIAR else fiction.things
        each = 3 if rng.random() < THREES else 4
        scene = Scene.random(which, rng, count=each, chances=chances)
        if repeated and rng.random() < repeated:
            scene = scene.showing(*_repeated(scene.things, rng))
        say = phrasing.phrased if rng.random() < 0.5 and not asked else Scene.caption
        documents.append(Document.of(say(scene, rng), scene.draw()))
        rows = [place[thing] for thing in scene.things]
        rows = rows if asked or len(set(rows)) > 1 else rows[:1]
        neighbours[number, 0, : len(rows)] = rows
    memory = fiction.memory(dim, and_seen=True)
    return Lessons(documents, memory, neighbours=neighbours, words=words)


def _repeated(things: Sequence[Thing], rng: np.random.Generator) -> list[Thing]:
    """As many places, in any of which the first few of these stand, each once at least."""
    kinds = int(rng.integers(2, len(things)))
    more = rng.integers(kinds, size=len(things) - kinds)
    return [things[row] for row in rng.permutation([*range(kinds), *more])]


def prepare_lessons(
    codec: Codec,
    encoder: Encoder,
    lessons: Sequence[Lessons],
    config: RetrieverConfig,
    *,
    draws: int,
    depth: int = 2,
) -> Prepared:
    """All of them as one training material; a memory that several have is encoded once."""
    worded = replace(config, strategy="bm25", query="text")
    made, known = list[Prepared](), dict[int, TokenTable]()
    for some in lessons:
        one = prepare(
            codec,
            some.documents,
            Retriever(encoder, some.memory, worded if some.worded else config),
            groups=some.groups,
            draws=draws,
            depth=depth if some.neighbours is None else some.neighbours.shape[2],
            neighbours=some.neighbours,
            words=some.words,
            encoded=known.get(id(some.memory)),
        )
        known[id(some.memory)] = one.memory
        made.append(one)
    return reduce(add, made)
