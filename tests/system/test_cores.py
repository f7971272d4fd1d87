"""How many cores an answer takes."""

from collections.abc import Iterator

import pytest
import torch

from racm3.errors import ConfigError
from racm3.interfaces.cli.answer import Using
from racm3.system.cores import take_cores
from racm3.system.racm3 import RACM3


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fresh(system: RACM3) -> RACM3:
    return RACM3(system.parts)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("cores", "expected"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_an_answer_takes_one_core_or_as_many_as_are_meant_and_gives_them_back(
    fresh, cores, expected
):
    fresh.cores, taken = cores, set[int]()
    fresh.draw("a zebra", watch=lambda *_: taken.add(torch.get_num_threads()))
    assert taken == {expected}
    assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError):
        fresh.draw("a zebra", watch=lambda *_: 1 / 0)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("threads", "less", "expected"), [(0, 1, 1), (0, 0, 2), (3, 0, 3), (3, 1, 3)]
)
def test_a_command_settles_it_for_all_that_follows(fresh, threads, less, expected):
    weights = sum(one.numel() for one in fresh.engine.model.parameters())
    take_cores(fresh, threads, small=weights + less)
    assert torch.get_num_threads() == expected


@pytest.mark.usefixtures("two_threads")
def test_a_command_takes_one_core_for_what_ships_unless_it_encodes_many_pictures():
    with pytest.raises(ConfigError, match="-1 threads are none"):
        Using(threads=-1)
    assert isinstance(Using().open(small=0), RACM3)
    assert torch.get_num_threads() == 2
    Using(threads=3).open()
    assert torch.get_num_threads() == 3
    Using().open()
    assert torch.get_num_threads() == 1
