"""One thing at a time: where the words of a question join several, and where they name one."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from racm3.document import Document
from racm3.retrieval.lexical import stem, words
from racm3.retrieval.query import Ways, apart

# Of so many documents any may say what is joined without an article; else the nearest.
FEW = 3


def by_joins(
    wanted: Sequence[Ways],
    pattern: str,
    nearest: Callable[[list[Document]], list[list[str]]],
    name: Callable[[str], bool],
) -> list[Ways]:
    """The same with every text divided where a pattern joins, but for what a document says joined.

    Args:
        wanted: What every query asks for, in its ways.
        pattern: See `RetrieverConfig.joins`.
        nearest: The texts of the few documents that are nearest to each of some queries.
        name: Whether a text ends with the name of a document.
    """
    every = [part for ways in wanted for way in ways for part in way]
    places = [joints(part.text, pattern) for part in every]
    # As a whole, and by two where there are more.
    asked = {text: None for some in places for one in some for text in (one.text, one.whole)}
    if not asked:
        return list(wanted)
    said = dict(zip(asked, nearest([Document.of(text) for text in asked]), strict=True))
    parts = {}
    for part, some in zip(every, places, strict=True):
        kept = [
            any(one.said_by(text) for text in (*said[one.text][:few], *said[one.whole][:few]))
            or not all(map(name, one.names))
            for one, few in ((one, FEW if one.names else 1) for one in some)
        ]
        # By the part itself: pictures beside the same words are other ones.
        parts[id(part)] = [part] if all(kept) else apart(part, divided(some, kept))
    return [[[one for part in way for one in parts[id(part)]] for way in ways] for ways in wanted]


class Joint(NamedTuple):
    """Where words join two parts of a whole question: `a dog`, ` and `, `a cat`.

    `names` are those of the parts that have to end with a document's name: the second where the
    pattern's group `named` matches, both where `listed` does.
    """

    whole: str
    before: str
    join: slice
    after: str
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """The two parts as they are joined."""
        return f"{self.before}{self.whole[self.join]}{self.after}"

    def said_by(self, document: str) -> bool:
        """Whether a text has the words that are joined, by their stems: `hammer and wrench` those
        of `a hammer and a wrench`, and not of `a hammer and a cat`.

        These are the last word before and the first after that was not said before: `flag of Chad`
        does not have those of `the flag of Chad and the flag of Mali`.
        """
        before, after, said = (
            [stem(word) for word in words(text)]
            for text in (self.whole[: self.join.start], self.whole[self.join.stop :], document)
        )
        new = [word for word in after if word not in before]
        return set(said).issuperset(before[-1:] + new[:1])


def joints(text: str, pattern: str) -> list[Joint]:
    """All places where `pattern` joins, each with the parts that stand next to it."""
    found = list(re.finditer(pattern, text))
    joins = [slice(*one.span()) for one in found]
    ends, starts = [0, *(join.stop for join in joins)], [*(j.start for j in joins), len(text)]
    parts = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return [
        Joint(text, before, join, after, _names(one, before, after))
        for (before, after), join, one in zip(pairwise(parts), joins, found, strict=True)
    ]


def _names(found: re.Match[str], before: str, after: str) -> tuple[str, ...]:
    groups = found.groupdict()
    if groups.get("listed"):
        return before, after
    return (after,) if groups.get("named") else ()


def divided(places: Sequence[Joint], kept: Sequence[bool]) -> list[str]:
    """The parts of a text, those of the `kept` joints as one."""
    parts = [places[0].before]
    for place, keep in zip(places, kept, strict=True):
        if keep:
            parts[-1] += place.whole[place.join] + place.after
        else:
            parts.append(place.after)
    return parts
