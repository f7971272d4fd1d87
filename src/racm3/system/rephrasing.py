"""Words that generators were taught with, read in the place of those that people type."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from itertools import pairwise
from typing import Any

from racm3.errors import ConfigError, require_pattern
from racm3.generation.tasks import EACH
from racm3.retrieval.lexical import STOP, WORD, stem, words
from racm3.system.surroundings import Part, Surroundings

# Which group of a pattern says how the thing is to look.
LOOK = "look"
# And which says what there are several of.
ONE = "one"
# A thing as it is spelt, and as it was typed.
Asked = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Rephrasing:
    r"""How a system's generators were taught to say what people say otherwise.

    Args:
        anywhere: By a regular expression of a part of the text, what is read there instead, before
            it is asked what the text asks for: `^(?:draw|paint) ` is nothing, say.
        between: By a regular expression of all that stands between two things, what is read there
            instead: `with|near` is `left of`, say.
        several: What is read between more than two things, whatever stands there that `between`
            knows, and before the last; of nothing they are read as they are typed.
        times: By a regular expression of what `alone` makes of one of several things how many of
            its group `one` are asked for: of `two of (?P<one>.+)` 2.
        alone: By a regular expression of all that is said of the only thing, what is read instead:
            `a (?P<look>tiny) (?P<rest>.+)` is `a small \g<rest>`. Where the document that is found
            says the `look` itself (by its stem), and not that alone, the words stay; an empty one,
            `(?P<look>)`, none says.
        both: The same for each of several things.
        each: The same for every thing, the only one or not: `a (?P<look>red) (?P<rest>.+)` is `a
            \g<rest> dyed \g<look>`, but for a red heart.
        whole: By a regular expression of the whole text after that, what is read instead:
            `(.+ dyed red)` is `\1 on white`, say, where a dye would go into an unsaid background.
            Not where a part of a picture is redrawn.
        surroundings: What is said of such a part instead, by what the rest of the picture shows.
        spelt: Whether words are read as the documents that are found spell them, and no capital
            begins a text or all of its words: `Two DOGS` is `two dogs`, `flag of italy` is `flag of
            Italy`.

    Raises:
        ConfigError: A pattern is no regular expression, or has no `look` or `one` where one is
            needed.
    """

    anywhere: Mapping[str, str] = field(default_factory=dict)
    between: Mapping[str, str] = field(default_factory=dict)
    several: tuple[str, ...] = ()
    times: Mapping[str, int] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    both: Mapping[str, str] = field(default_factory=dict)
    each: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    spelt: bool = False

    def __post_init__(self) -> None:
        looks = (*self.alone, *self.both, *self.each)
        for pattern in (*self.anywhere, *self.between, *looks, *self.times, *self.whole):
            groups = require_pattern("rephrasing", pattern).groupindex
            needed = LOOK if pattern in looks else ONE if pattern in self.times else None
            if needed and needed not in groups:
                raise ConfigError(f"rephrasing {pattern!r} has no group (?P<{needed}>...)")

    def __bool__(self) -> bool:
        return self != Rephrasing()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, about: Mapping[str, Any]) -> "Rephrasing":
        around = Surroundings.of_json(about.get("surroundings", {}))
        several = tuple(about.get("several", ()))
        return cls(**{**about, "surroundings": around, "several": several})

    def cleared(self, text: str) -> str:
        """A text with other words `anywhere`; as it is where none would be left."""
        said = text
        for pattern, instead in self.anywhere.items():
            said = re.sub(pattern, instead, said)
        return said if said.strip() else text

    def of(
        self,
        text: str,
        things: Sequence[str],
        known: Callable[[str], str],
        *,
        redrawn: Part | None = None,
    ) -> str:
        """A text that asks for some `things` in these words; for more than generators were taught
        it is as it is, but `spelt`.

        Args:
            text: What people type: `a dog with a cat on a blue background`.
            things: What it asks for, as the retriever divides it: `a dog` and `a cat`.
            known: What the document says that a thing finds.
            redrawn: The part of a picture that it is asked for in.
        """
        known, spelt = cache(known), list(things)
        if self.spelt:
            spell = speller(text, [known(thing) for thing in things])
            text, spelt = spell(text), [spell(thing) for thing in things]
        if not 1 <= len(things) <= (EACH if self.several else 2):
            return text
        alone, asked = len(things) == 1, tuple(zip(spelt, things, strict=True))
        if not alone:
            text, asked = self._counted(text, asked, known)
        said = self._joined(text, [thing for thing, _ in asked])
        looks = {**(self.alone if alone else self.both), **self.each}
        for thing, typed in asked:
            looking = self._looking(thing, partial(known, typed), looks)
            said = said.replace(thing, looking, 1)
        if redrawn:
            return self.surroundings.said(said, redrawn) if alone else said
        for pattern, instead in self.whole.items():
            if found := re.fullmatch(pattern, said):
                said = found.expand(instead)
        return said

    def noun(self, thing: str, document: Callable[[], str]) -> str | None:
        """How one of several things is said that finds such a document; None where it is several
        itself."""
        if self.spelt:
            thing = speller(thing, [document()])(thing)
        alone = self._looking(thing, document, self.alone)
        if any(re.fullmatch(one, alone) for one in self.times):
            return None
        return self._looking(thing, document, {**self.both, **self.each})

    def _counted(
        self, text: str, asked: tuple[Asked, ...], known: Callable[[str], str]
    ) -> tuple[str, tuple[Asked, ...]]:
        """The same with each thing as often as it is asked for, up to four in all."""
        every = list[list[Asked]]()
        for thing, typed in asked:
            said = self._looking(thing, partial(known, typed), self.alone)
            found = ((re.fullmatch(one, said), times) for one, times in self.times.items())
            several = ([(it[ONE], typed)] * times for it, times in found if it)
            every.append(next(several, [(thing, typed)]))
        if not len(asked) < sum(map(len, every)) <= EACH:
            return text, asked
        for (thing, _), ones in zip(asked, every, strict=True):
            text = text.replace(thing, ", ".join(one for one, _ in ones), 1)
        return text, tuple(one for ones in every for one in ones)

    def _joined(self, text: str, things: Sequence[str]) -> str:
        places, stop = list[slice](), 0
        for thing in things:
            if (start := text.find(thing, stop)) < 0:
                return text
            stop = start + len(thing)
            places.append(slice(start, stop))
        ways = [self._way(text[one.stop : other.start].strip()) for one, other in pairwise(places)]
        if None in ways:
            return text
        if len(ways) == 1:
            ways = [f" {ways[0]} "]
        elif ways:
            ways = [*self.several[:1] * (len(ways) - 1), self.several[-1]]
        joined = "".join(f"{one}{way}" for one, way in zip(things, [*ways, ""], strict=True))
        return f"{text[: places[0].start]}{joined}{text[stop:]}"

    def _way(self, between: str) -> str | None:
        """What is read instead of what stands between two things; None if that is not known."""
        known = (way for one, way in self.between.items() if re.fullmatch(one, between))
        return next(known, None)

    def _looking(self, thing: str, document: Callable[[], str], looks: Mapping[str, str]) -> str:
        said = thing
        for pattern, instead in looks.items():
            found = re.fullmatch(pattern, said)
            if found and not (found[LOOK] and _says(document(), thing, found[LOOK])):
                said = found.expand(instead)
        return said


def speller(text: str, documents: Iterable[str]) -> Callable[[str], str]:
    """What spells the words of a text as some documents do. Of words that none of them says the
    first has small letters, and so have all where a capital begins every word of the text."""
    said = {word for document in documents for word in WORD.findall(document)}
    known = {word.lower(): word for word in sorted(said) if word.lower() not in STOP}
    asked = WORD.findall(text)
    titled = not any(word[0].islower() for word in text.split() if word not in STOP)
    small = {word: word.lower() for word in (asked if titled else asked[:1])}
    spelt = {w: w if w in said else known.get(w.lower(), small.get(w, w)) for w in asked}
    return lambda part: WORD.sub(lambda word: spelt.get(word[0], word[0]), part)


def _says(document: str, thing: str, look: str) -> bool:
    """Whether a document says how a thing looks and something else of it: a black cat is found
    among pets, a black horse among black flags."""
    looks, there, asked = (set(map(stem, words(text))) for text in (look, document, thing))
    return looks <= there and bool((asked - looks) & there)
