"""Which id is legal next: a picture is exactly one grid, text holds no codes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from racm3.errors import GenerationError
from racm3.tokens.vocabulary import Vocabulary


class Place(IntEnum):
    """Where in a document the next id stands; the rows of `Grammar.table`."""

    TEXT = 0
    LAST_TEXT = 1
    IMAGE = 2
    BREAK = 3
    FIRST = 4
    START = 5
    END = 6
    SPAN_END = 7
    DONE = 8


@dataclass(frozen=True)
class Step:
    """One forced or free position of a plan: at `place`, or the given id when it is forced."""

    place: Place
    forced: int | None = None


class Grammar(ABC):
    """What a task lets the generator say. Positions are walked one by one for every sample."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @cached_property
    def table(self) -> Bool[Tensor, "places vocab"]:
        vocabulary = self.vocabulary
        legal = torch.zeros(len(Place), len(vocabulary), dtype=torch.bool)
        text = slice(vocabulary.text.start, vocabulary.text.stop)
        image = slice(vocabulary.image.start, vocabulary.image.stop)
        legal[[Place.TEXT, Place.FIRST, Place.START], text] = True
        legal[Place.TEXT, self.text_end] = legal[Place.LAST_TEXT, self.text_end] = True
        legal[[Place.IMAGE, Place.FIRST, Place.START], image] = True
        legal[Place.BREAK, vocabulary.break_] = True
        legal[[Place.START, Place.END, Place.DONE], vocabulary.end] = True
        legal[Place.SPAN_END, vocabulary.eoss] = True
        return legal

    @property
    def text_end(self) -> int:
        return self.vocabulary.break_

    @abstractmethod
    def place(self, said: Sequence[int]) -> Place:
        """Where a sample stands after what it has said; DONE when nothing more is wanted."""

    def forced(self, said: Sequence[int]) -> int | None:
        """The id that must come next, where the task already knows it."""
        return None

    def legal(self, places: Int[Tensor, " samples"]) -> Bool[Tensor, "samples vocab"]:
        return self.table[places]


class OneGrid(Grammar):
    """Exactly one picture of `cells` codes."""

    def __init__(self, vocabulary: Vocabulary, cells: int) -> None:
        super().__init__(vocabulary)
        self.cells = cells

    def place(self, said: Sequence[int]) -> Place:
        return Place.IMAGE if len(said) < self.cells else Place.DONE


class SpanText(Grammar):
    """Text up to its `end`, `<eoss>` where it is not said, at most `longest` ids of it."""

    def __init__(self, vocabulary: Vocabulary, longest: int, *, end: int | None = None) -> None:
        super().__init__(vocabulary)
        self.longest, self.end = longest, vocabulary.eoss if end is None else end

    @property
    def text_end(self) -> int:
        return self.end

    def place(self, said: Sequence[int]) -> Place:
        if said and said[-1] == self.end:
            return Place.DONE
        return Place.TEXT if len(said) < self.longest else Place.LAST_TEXT


class Spans(Grammar):
    """Picture spans of known lengths: `codes <eoss> <mask:1> codes <eoss> ...`; codes that are
    known are forced, None stands for those that are not."""

    def __init__(self, vocabulary: Vocabulary, spans: Sequence[Sequence[int | None]]) -> None:
        super().__init__(vocabulary)
        self.plan: list[Step] = []
        for number, codes in enumerate(spans):
            if number:
                self.plan.append(Step(Place.SPAN_END, vocabulary.masks[number]))
            self.plan += [Step(Place.IMAGE, code) for code in codes]
            self.plan.append(Step(Place.SPAN_END, vocabulary.eoss))
        self.plan.pop()

    def place(self, said: Sequence[int]) -> Place:
        return self.plan[len(said)].place if len(said) < len(self.plan) else Place.DONE

    def forced(self, said: Sequence[int]) -> int | None:
        return self.plan[len(said)].forced if len(said) < len(self.plan) else None

    def spans(self, said: Sequence[int]) -> list[list[int]]:
        """The codes of each span, structure left out."""
        found: list[list[int]] = [[]]
        for id_, step in zip(said, self.plan, strict=True):
            if step.place is Place.IMAGE:
                found[-1].append(id_)
            elif step.forced != self.vocabulary.eoss:
                found.append([])
        return found


class Interleaved(Grammar):
    """Any document: segments of text or whole pictures, one at least, each closed, then `</s>`."""

    def __init__(self, vocabulary: Vocabulary, cells: int, *, segments: int, longest: int) -> None:
        super().__init__(vocabulary)
        if segments < 1:
            raise GenerationError("at least one segment must be asked for")
        self.cells, self.segments, self.longest = cells, segments, longest

    def place(self, said: Sequence[int]) -> Place:
        vocabulary = self.vocabulary
        if said and said[-1] == vocabulary.end:
            return Place.DONE
        tail, closed = 0, 0
        for id_ in said:
            tail, closed = (0, closed + 1) if id_ == vocabulary.break_ else (tail + 1, closed)
        if tail == 0:
            if closed == 0:
                return Place.FIRST
            return Place.START if closed < self.segments else Place.END
        if said[-1] in vocabulary.image:
            return Place.IMAGE if tail < self.cells else Place.BREAK
        return Place.TEXT if tail < self.longest else Place.LAST_TEXT
