"""Waiting for a condition, with a limit that nothing reaches but what is broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 120.0
"""Seconds. It says nothing about the service: what takes one second on an idle machine takes many on a busy one."""


def until(
    condition: Callable[[], Found],
    why: str | Callable[[], object] = "",
    seconds: float = PATIENCE,
    pause: float = 0.05,
) -> Found:
    """The first true value of ``condition``; an AssertionError if there is none in time.

    Args:
        condition: what is waited for. It may assert, so that a wait ends as soon as it has become pointless.
        why: what to say if it does not come; a callable, such as one that reads a log, is called only then.
        seconds: how long to wait.
        pause: between two looks.
    """
    ends = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > ends:
            reason = why() if callable(why) else why
            raise AssertionError(f"Waited {seconds:g} s in vain, last for {found!r}. {reason}")
        time.sleep(pause)
    return found
