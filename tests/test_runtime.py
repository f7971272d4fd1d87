"""Progress where there is no terminal."""

import pytest

from racm3 import runtime
from racm3.runtime import progress


def test_a_log_says_how_far_it_is_and_nothing_of_what_is_quick(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress(range(3), label="quick")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(runtime, "LOGGED_EVERY", 0.0)
    assert list(progress(range(2), label="known")) == [0, 1]
    assert list(progress(iter("ab"), label="said", total=2)) == ["a", "b"]
    assert list(progress((x for x in "ab"), label="unknown")) == ["a", "b"]
    assert capsys.readouterr() == (
        "",
        "known: 0 of 2\nknown: 1 of 2\nsaid: 0 of 2\nsaid: 1 of 2\nunknown: 0\nunknown: 1\n",
    )
