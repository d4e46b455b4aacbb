"""The tests' own waiting: a wait that ends in vain fails, and says why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import services
from awaiting import until
from services import running

NEVER = [sys.executable, "-u", "-c", "import time; print('the end of the log'); time.sleep(600)"]


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, "", "found", "later"])
    assert until(lambda: next(values), pause=0) == "found"


def test_a_wait_in_vain_fails_with_its_reason() -> None:
    with pytest.raises(AssertionError, match=r"Waited 0\.1 s in vain, last for 0\. So it was\."):
        until(lambda: 0, lambda: "So it was.", seconds=0.1)


def test_a_service_that_is_never_ready_is_not_given_to_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(condition: Callable[[], object], why: Callable[[], str], seconds: float) -> None:
        until(lambda: "end of the log" in why(), why, seconds=60)
        until(condition, why, seconds=0.2)

    monkeypatch.setattr(services, "until", impatient)
    with pytest.raises(AssertionError, match="the end of the log"), running(tmp_path, program=NEVER):
        pytest.fail("It was given.")


def test_a_service_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    ends = [sys.executable, "-c", "raise SystemExit('no, thanks')"]
    with pytest.raises(AssertionError, match="no, thanks"), running(tmp_path, program=ends):
        pytest.fail("It was given.")
