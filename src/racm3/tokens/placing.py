"""Where every id stands for the rotary embedding."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from racm3.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Placing:
    """One after the other; with `align`, every cell of every picture where its grid has it.

    Then a picture begins at a multiple of `align` and its cells follow in reading order, also
    behind a masked span and inside one that is infilled: the same cell of two pictures is a fixed
    distance apart, however long the texts between them are, and attention can learn that distance:
    the next picture begins at the next multiple, and a text too long for the room before it stands
    where the picture stands, too.
    Between two spans of one picture nobody can know the cell yet; those ids follow on.

    `align` 0 leaves positions plain, which is what other libraries assume of an exported generator.
    """

    vocabulary: Vocabulary
    cells: int
    align: int = 0

    def walk(self) -> "Walk":
        return Walk(self)

    def positions(self, ids: Sequence[int]) -> list[int]:
        if not self.align:
            return list(range(len(ids)))
        walk = self.walk()
        return [walk.step(id_, rest=self.rest(ids, at)) for at, id_ in enumerate(ids)]

    def rest(self, ids: Sequence[int], at: int) -> int | None:
        """How many cells of a picture are still to come, where the ids themselves say so.

        They do behind a gap in what is read; behind the marker that opens an infilled span they
        do not, as its end is not known while it is being said.
        """
        image, marks = self.vocabulary.image, self.vocabulary.masks
        if not at or ids[at] not in image or ids[at - 1] not in marks:
            return None
        if at > 2 and ids[at - 2] in (self.vocabulary.end, self.vocabulary.eoss):
            return None
        stop = next((i for i in range(at, len(ids)) if ids[i] not in image), len(ids))
        closed = stop < len(ids) and ids[stop] == self.vocabulary.break_
        return stop - at if closed else None


@dataclass(slots=True)
class Walk:
    """The position of one id after another; `text` is where what follows the last picture began."""

    placing: Placing
    position: int = -1
    first: int | None = None
    cell: int = 0
    text: int = 0
    gaps: dict[int, int] = field(default_factory=dict)
    last: int = -1

    def read(self, ids: Sequence[int]) -> "Walk":
        """Go over a prompt at once."""
        if not self.placing.align:
            self.position += len(ids)
            return self
        for at, id_ in enumerate(ids):
            self.step(id_, rest=self.placing.rest(ids, at))
        return self

    def ahead(self, ids: Sequence[int]) -> list[int]:
        """Where ids would stand, without going there."""
        scout = replace(self, gaps=self.gaps.copy())
        return [scout.step(id_) for id_ in ids]

    def step(self, id_: int, *, rest: int | None = None) -> int:
        placing, vocabulary = self.placing, self.placing.vocabulary
        if not placing.align:
            self.position += 1
        elif id_ in vocabulary.image:
            self._cell(rest)
        elif id_ in vocabulary.masks and self.first is not None:
            self.gaps[id_] = self.cell
            self.position, self.cell = self.first + self.cell, self.cell + 1
        else:
            if self.first is not None:
                self.text = self.position + 1
            self.position, self.first, self.cell = self.position + 1, None, 0
        self.last = id_
        return self.position

    def _cell(self, rest: int | None) -> None:
        """Stand at the grid's next cell; `rest` says how many there are up to its end."""
        align, cells = self.placing.align, self.placing.cells
        if self.first is None:
            before = min(self.position, self.text)
            self.first = -(-(before + 1) // align) * align
            self.cell = self.gaps.get(self.last, 0)
        if rest is not None:
            self.cell = max(self.cell, cells - rest)
        self.position, self.cell = self.first + self.cell, self.cell + 1
