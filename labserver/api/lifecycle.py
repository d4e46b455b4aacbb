"""Readiness and the drain: how the service starts and stops."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Protocol

import structlog

from labserver.settings import Settings


class Readiness:
    """The service's readiness: ready, draining or without its store.

    Overload is none of it: the others behind a balancer are as busy, and if each of them calls itself not ready, no one
    answers at all. A refused request says itself when to come back.
    """

    def __init__(self, problem: Callable[[], str | None]) -> None:
        """``problem`` returns why the service behind the API cannot answer, or None."""
        self._problem = problem
        self._last: str | None = None
        self.draining = False

    def reason(self) -> str | None:
        """The reason why the service is not ready, or None. Changes are logged: a balancer leaves no other trace."""
        now = self._reason()
        if now != self._last:
            self._last = now
            structlog.get_logger().warning("not_ready" if now else "ready_again", reason=now)
        return now

    def _reason(self) -> str | None:
        if self.draining:
            return "draining: this service is about to stop"
        return self._problem()

    def begin_drain(self) -> None:
        self.draining = True


class Drain(Protocol):
    """Lesson 1. Handles the time from SIGTERM to the end of the process."""

    def install(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
        """Handle SIGTERM; call ``begin`` when the service must report that it is no longer ready."""


class GracefulDrain:
    """On SIGTERM the service reports that it is not ready, still answers for a while so that balancers notice, and
    then lets the server close its port and finish the requests in flight.

    A client that ignores ``/readyz`` and opens more connections can lose its last one: the kernel resets
    connections that wait at a port when it closes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def install(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
        """See :class:`Drain`. Chains to the handler that the server has put in place."""
        stop = signal.getsignal(signal.SIGTERM)

        def start(number: int) -> None:
            begin()
            loop.call_later(self._seconds, finish, number)

        def finish(number: int) -> None:
            if callable(stop):
                stop(number, None)

        def on_term(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(start, number)

        signal.signal(signal.SIGTERM, on_term)


def drain(settings: Settings) -> GracefulDrain:
    """Lesson 1: a deploy loses no request of a client that heeds /readyz."""
    return GracefulDrain(settings.drain_seconds)
