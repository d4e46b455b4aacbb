"""What one connection to the board may cost, before the board sees a request."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 1_500
"""Connections at once: learners of a full class, and some who look."""
SECONDS = 10.0
"""Time to send a request's head, or to read an answer's rest; the cut comes after one to two times this."""


class BoardConnection(H11Protocol):
    """uvicorn's connection in pure Python, whose parser bounds a head and stops at a request that must wait.

    Added are a time limit, an end for clients that send on without waiting for their answer, and room for those who
    come: if there are too many connections, the oldest that has never sent a whole request has to go.
    """

    silent: ClassVar[dict[BoardConnection, None]] = {}
    """Connections without a whole request, the oldest first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self._seen: Any = None
        self._timer = self.loop.call_later(SECONDS, self._cut_if_idle)
        self.silent[self] = None
        if len(self.connections) > MOST:
            next(iter(self.silent)).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._timer.cancel()
        self.silent.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        latest: Any = self.cycle
        if latest is not None and not latest.response_complete and self.conn.their_state is h11.DONE:
            self.transport.abort()
            return
        super().data_received(data)
        if self.cycle is not None:
            self.silent.pop(self, None)

    def _cut_if_idle(self) -> None:
        latest: Any = self.cycle  # None before the first request, whatever its type says
        closing = self.transport.is_closing()
        under_way = latest is not None and not latest.response_complete and not closing
        waits = self.timeout_keep_alive_task is not None and not closing and not self.transport.get_write_buffer_size()
        if not under_way and not waits and latest is self._seen:
            self.transport.abort()
            return
        self._seen = latest
        self._timer = self.loop.call_later(SECONDS, self._cut_if_idle)
