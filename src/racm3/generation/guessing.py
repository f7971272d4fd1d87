"""Guesses of what is said next: much of what is drawn or told is copied from what was read."""

from collections.abc import Sequence

# The longest ending that is looked up.
ENDING = 4


class Lookup:
    """What followed the same ending when it first stood somewhere (prompt lookup decoding, Saxena
    2023): in a document, the picture that is asked about, or what has been said itself.

    A guess costs next to nothing and decides nothing: the model reads several guessed ids in one
    step and keeps those that it would have said (speculative decoding, Leviathan et al. 2023).
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids: list[int] = []
        self.after: dict[tuple[int, ...], int] = {}
        self.hear(ids)

    def copy(self) -> "Lookup":
        other = Lookup(())
        other.ids, other.after = self.ids.copy(), self.after.copy()
        return other

    def hear(self, ids: Sequence[int]) -> None:
        for id_ in ids:
            known = len(self.ids)
            for length in range(1, min(ENDING, known) + 1):
                self.after.setdefault(tuple(self.ids[known - length :]), known)
            self.ids.append(id_)

    def guess(self, count: int) -> list[int]:
        """What followed the longest ending that is known, and its last id again where less did."""
        known = len(self.ids)
        endings = (tuple(self.ids[known - n :]) for n in range(min(ENDING, known), 0, -1))
        at = next((self.after[end] for end in endings if end in self.after), known)
        found = self.ids[at : at + count]
        return found + (found or self.ids)[-1:] * (count - len(found))
