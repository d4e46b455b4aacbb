"""The process before lessons 1, 7 and 8: how it stops, how many threads it takes, who answers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from labserver.settings import Settings


class CutOff:
    """Before lesson 1: the process is gone at once, and every answer in the making with it."""

    def install(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))


def drain(settings: Settings) -> CutOff:
    return CutOff()


class Everyone:
    """Before lesson 7: whoever comes is let in, until nobody is answered in time."""

    overloaded = False

    def enter(self) -> bool:
        return True

    def leave(self) -> None:
        return


def admission(settings: Settings) -> Everyone:
    return Everyone()


def threads(settings: Settings) -> int | None:
    """Before lesson 7: the libraries decide, and each takes every core."""
    return None


def inline(settings: Settings) -> bool:
    """Before lesson 8: the framework answers, from a pool of threads."""
    return False
