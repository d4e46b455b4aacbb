"""Closes stalled connections: clients that never finish their headers, or do not read their answer.

A request has a time limit once its headers are complete. uvicorn's own limit covers the time between two requests and
ends with the first byte of the next; for the first request there is none. A few hundred connections that send a byte
now and then would stay open until the process has no file descriptor left.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from labserver.settings import settings


class Connection(HttpToolsProtocol):
    """uvicorn's connection, cut off if it has no request under way and has begun none for the time of a request.

    It is checked once per interval, so the cut comes after one to two intervals, whatever the client sends
    meanwhile. That costs one timer per connection and nothing per request.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self._seconds = settings().request_timeout_seconds
        self._seen: RequestResponseCycle | None = None
        self._timer = self.loop.call_later(self._seconds, self._cut_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _cut_if_idle(self) -> None:
        latest: Any = self.cycle  # None before the first request, whatever its type says
        under_way = latest is not None and not latest.response_complete and not self.transport.is_closing()
        if not under_way and latest is self._seen:
            self.transport.abort()  # not close: that waits for the client to read what it was sent
            return
        self._seen = latest
        self._timer = self.loop.call_later(self._seconds, self._cut_if_idle)
