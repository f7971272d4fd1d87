"""Guesses against a slow twin that looks through everything."""

import numpy as np
import pytest

from racm3.generation.guessing import ENDING, Lookup


def slow(ids: list[int], count: int) -> list[int]:
    """Search the whole text for the longest ending's first place."""
    for length in range(min(ENDING, len(ids)), 0, -1):
        for at in range(length, len(ids)):
            if ids[at - length : at] == ids[-length:]:
                found = ids[at : at + count]
                return found + [found[-1]] * (count - len(found))
    return [ids[-1]] * count


@pytest.mark.parametrize("seed", range(30))
def test_a_guess_follows_the_first_place_of_the_longest_ending(seed):
    rng = np.random.default_rng(seed)
    ids = rng.integers(4, size=int(rng.integers(1, 40))).tolist()
    cut = int(rng.integers(len(ids)))
    lookup = Lookup(ids[: cut + 1])
    lookup.hear(ids[cut + 1 :])
    for count in (1, 3, 8):
        assert lookup.guess(count) == slow(ids, count)


def test_nothing_is_guessed_where_nothing_is_asked_for():
    assert Lookup([1, 2, 1]).guess(0) == []


def test_a_copy_hears_for_itself():
    lookup = Lookup([1, 2, 3, 1])
    other = lookup.copy()
    other.hear([5, 1, 2])
    assert lookup.guess(2) == [2, 3]
    assert other.guess(2) == [3, 1]
