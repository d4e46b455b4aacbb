"""Signs of life where nobody sees a spinner: in a log."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from labserver.running import signs


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setattr(signs, "SIGN_AFTER", 0.05)
    return Console(file=io.StringIO(), width=80)


def said(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_what_takes_long_says_so_again_and_again_and_then_no_more(console: Console) -> None:
    with signs.alive(console, "Measuring") as report:
        report("a step")
        deadline = time.monotonic() + 30
        while len(said(console)) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    lines = said(console)
    assert lines[0] == "  a step"
    assert all(line == "  … measuring, 0 s" for line in lines[1:4])
    time.sleep(0.2)
    assert said(console) == lines


def test_another_sign_puts_the_next_one_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "SIGN_AFTER", 2.0)
    told: list[float] = []
    with signs.ticking(told.append) as signed:
        for _ in range(30):
            signed()
            time.sleep(0.1)
    assert told == []


def test_what_is_quick_says_nothing(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "SIGN_AFTER", 60.0)
    with signs.alive(console, "Scoring"):
        pass
    assert said(console) == []


def test_an_error_ends_the_signs(console: Console) -> None:
    def fails() -> None:
        with signs.alive(console, "Scoring"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    lines = said(console)
    time.sleep(0.2)
    assert said(console) == lines


def test_a_count_is_told_at_most_once_in_a_while(console: Console) -> None:
    with signs.counting(console, "Replaying", 2_000) as tell:
        for done in range(1_000):
            tell(done)
        time.sleep(0.06)
        tell(1_500)
    assert said(console)[-1] == "  Replaying: 1,500 of 2,000"
    assert len(said(console)) < 100
