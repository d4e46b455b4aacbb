"""The process before lessons 1, 7 and 8: how it stops, how many threads it takes, who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labserver.settings import Settings


class ClosedAtOnce:
    """Before lesson 1: what uvicorn does by itself. The port is closed at once, while a balancer still sends to it."""

    def install(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
        return


def drain(settings: Settings) -> ClosedAtOnce:
    return ClosedAtOnce()


class Everyone:
    """Before lesson 7: whoever comes is let in, until nobody is answered in time."""

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
