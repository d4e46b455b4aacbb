"""Assigns cores to the service and to the load. If both share one, they disturb each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of cores; both are empty where processes cannot be pinned (not Linux)."""

    service: tuple[int, ...]
    load: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """True if the load runs on a core of the service."""
        return not self.load or bool(set(self.service) & set(self.load))


@contextmanager
def divided(wanted: int) -> Iterator[Cores]:
    """``wanted`` cores for the service, or all but one if there are fewer, and the rest for the load.

    This thread and what it starts move to the load's cores until the block ends.
    """
    if sys.platform != "linux":
        yield Cores((), ())
        return
    before = os.sched_getaffinity(0)
    cores = sorted(before)
    count = max(1, min(wanted, len(cores) - 1))
    placed = Cores(tuple(cores[:count]), tuple(cores[count:] or cores))
    os.sched_setaffinity(0, placed.load)
    try:
        yield placed
    finally:
        os.sched_setaffinity(0, before)
