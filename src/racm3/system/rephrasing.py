"""Words that generators were taught with, read in the place of those that people type."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from racm3.errors import ConfigError, require_pattern
from racm3.retrieval.lexical import STOP, WORD, stem, words
from racm3.system.surroundings import Part, Surroundings

# Which group of a pattern says how the thing is to look.
LOOK = "look"


@dataclass(frozen=True, kw_only=True)
class Rephrasing:
    r"""How a system's generators were taught to say what people say otherwise.

    Args:
        anywhere: By a regular expression of a part of the text, what is read there instead, before
            it is asked what the text asks for: `^(?:draw|paint) ` is nothing, say.
        between: By a regular expression of all that stands between two things, what is read there
            instead: `with|near` is `left of`, say.
        alone: By a regular expression of all that is said of the only thing, what is read instead:
            `a (?P<look>tiny) (?P<rest>.+)` is `a small \g<rest>`. Where the document that is found
            says the `look` itself (by its stem), and not that alone, the words stay; an empty one,
            `(?P<look>)`, none says.
        both: The same for each of two things.
        each: The same for every thing, the only one or one of two: `a (?P<look>red) (?P<rest>.+)`
            is `a \g<rest> dyed \g<look>`, but for a red heart.
        whole: By a regular expression of the whole text after that, what is read instead:
            `(.+ dyed red)` is `\1 on white`, say, where a dye would go into an unsaid background.
            Not where a part of a picture is redrawn.
        surroundings: What is said of such a part instead, by what the rest of the picture shows.
        spelt: Whether words are read as the documents that are found spell them, and no capital
            begins a text or all of its words: `Two DOGS` is `two dogs`, `flag of italy` is `flag of
            Italy`.

    Raises:
        ConfigError: A pattern is no regular expression, or has no `look` where it needs one.
    """

    anywhere: Mapping[str, str] = field(default_factory=dict)
    between: Mapping[str, str] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    both: Mapping[str, str] = field(default_factory=dict)
    each: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    spelt: bool = False

    def __post_init__(self) -> None:
        looks = (*self.alone, *self.both, *self.each)
        for pattern in (*self.anywhere, *self.between, *looks, *self.whole):
            groups = require_pattern("rephrasing", pattern).groupindex
            if pattern in looks and LOOK not in groups:
                raise ConfigError(f"rephrasing {pattern!r} has no group (?P<{LOOK}>...)")

    def __bool__(self) -> bool:
        return self != Rephrasing()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, about: Mapping[str, Any]) -> "Rephrasing":
        around = Surroundings.of_json(about.get("surroundings", {}))
        return cls(**{**about, "surroundings": around})

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
        """A text that asks for one or two `things` in these words; else as it is, but `spelt`.

        Args:
            text: What people type: `a dog with a cat on a blue background`.
            things: What it asks for, as the retriever divides it: `a dog` and `a cat`.
            known: What the document says that a thing finds.
            redrawn: The part of a picture that it is asked for in.
        """
        known = cache(known)
        if self.spelt:
            documents = [known(thing) for thing in things]
            spell = speller(text, documents)
            text, things = spell(text), [spell(thing) for thing in things]
            known = dict(zip(things, documents, strict=True)).__getitem__
        if len(things) not in (1, 2):
            return text
        alone = len(things) == 1
        said = text if alone else self._joined(text, *things)
        looks = {**(self.alone if alone else self.both), **self.each}
        for thing in things:
            said = self._looking(said, thing, known, looks)
        if redrawn:
            return self.surroundings.said(said, redrawn) if alone else said
        for pattern, instead in self.whole.items():
            if found := re.fullmatch(pattern, said):
                said = found.expand(instead)
        return said

    def _joined(self, text: str, before: str, after: str) -> str:
        start = text.find(before) + len(before)
        end = text.find(after, start)
        if before not in text or end < 0:
            return text
        between = text[start:end].strip()
        for pattern, instead in self.between.items():
            if re.fullmatch(pattern, between):
                return f"{text[:start]} {instead} {text[end:]}"
        return text

    def _looking(
        self, text: str, thing: str, known: Callable[[str], str], looks: Mapping[str, str]
    ) -> str:
        if thing not in text:
            return text
        said = thing
        for pattern, instead in looks.items():
            found = re.fullmatch(pattern, said)
            if found and not (found[LOOK] and _says(known(thing), thing, found[LOOK])):
                said = found.expand(instead)
        return text.replace(thing, said, 1)


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
