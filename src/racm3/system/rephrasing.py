"""Words that generators were taught with, read in the place of those that people type."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache

from racm3.errors import ConfigError
from racm3.retrieval.lexical import stem, words

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
        each: The same for every thing, the only one or one of two: `a (?P<look>red) (?P<rest>.+)`
            is `a \g<rest> dyed \g<look>`, but for a red heart.
        whole: By a regular expression of the whole text after that, what is read instead:
            `(.+ dyed red)` is `\1 on white`, say, where a dye would go into an unsaid background.
            Not where a picture is redrawn, whose rest shows what is not said.

    Raises:
        ConfigError: A pattern is no regular expression, or has no `look` where it needs one.
    """

    anywhere: Mapping[str, str] = field(default_factory=dict)
    between: Mapping[str, str] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    each: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        looks = (*self.alone, *self.each)
        for pattern in (*self.anywhere, *self.between, *looks, *self.whole):
            try:
                groups = re.compile(pattern).groupindex
            except re.error as error:
                raise ConfigError(
                    f"rephrasing {pattern!r} is no regular expression: {error}"
                ) from error
            if pattern in looks and LOOK not in groups:
                raise ConfigError(f"rephrasing {pattern!r} has no group (?P<{LOOK}>...)")

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def to_json(self) -> dict[str, dict[str, str]]:
        return asdict(self)

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
        redrawn: bool = False,
    ) -> str:
        """A text that asks for one or two `things` in these words; else as it is.

        Args:
            text: What people type: `a dog with a cat on a blue background`.
            things: What it asks for, as the retriever divides it: `a dog` and `a cat`.
            known: What the document says that a thing finds.
            redrawn: Whether it is asked for in a part of a picture.
        """
        if len(things) not in (1, 2):
            return text
        alone, known = len(things) == 1, cache(known)
        said = text if alone else self._joined(text, *things)
        for thing in things:
            looks = {**self.alone, **self.each} if alone else self.each
            said = self._looking(said, thing, known, looks)
        for pattern, instead in ({} if redrawn else self.whole).items():
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


def _says(document: str, thing: str, look: str) -> bool:
    """Whether a document says how a thing looks and something else of it: a black cat is found
    among pets, a black horse among black flags."""
    looks, there, asked = (set(map(stem, words(text))) for text in (look, document, thing))
    return looks <= there and bool((asked - looks) & there)
