"""What one connection may cost, before any layer of the application sees a request.

uvicorn's parser limits neither the head of a request nor the number of requests that wait for their turn, and it has no
time limit for the first head. A few bytes without end would fill the memory, or make every other client wait.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import sys
import termios
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from labserver.api.metrics import REFUSED
from labserver.settings import settings

PIECE_BYTES = 2 * 1024
"""A read is parsed in pieces of this size, so that one read cannot exceed a limit by more."""
OVERHEAD_BYTES = 32 * 1024
"""Bytes of a request that are no body: its head, the frames of its chunks, its trailers."""
BODY_PER_OVERHEAD = 8
"""Bytes of overhead that one byte of body is worth: a body in chunks of one byte has five for each."""
TARGET_BYTES = 8 * 1024
HEADERS = 100
WAITING = 16
"""Requests of a connection that wait while an earlier one is answered. With as many, nothing more is read."""
LOG_SECONDS = 1.0
"""Least time between two log lines about refused connections: they cost a sender nothing."""

NOT_HTTP = HTTPStatus.BAD_REQUEST, "not_http", "This is not a request of HTTP/1.1."
HEAD_TOO_LARGE = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"A request has at most {HEADERS} headers, and {OVERHEAD_BYTES:,} bytes beside its body.",
)
TARGET_TOO_LONG = HTTPStatus.REQUEST_URI_TOO_LONG, "head_too_large", f"A target has at most {TARGET_BYTES:,} bytes."


class _Refused(Exception):
    """Ends the parsing of a connection."""


class _Flow(FlowControl):
    """uvicorn's flow control, of which reading is not resumed while something that was read is not parsed yet."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """uvicorn's connection with bounds: bytes and number of headers, target, waiting requests, and time.

    What is over a bound, or is not HTTP, gets one answer if none is due before it; requests that arrived earlier are
    answered, and the connection is closed. Requests that would wait behind too many others are not read yet.

    Requests to change the protocol are answered as if they had not asked (RFC 9110, 7.8): Java's client asks in each
    request for HTTP/2.

    A connection without a request under way that has begun none for the time of a request is cut off, unless it waits
    between two requests. It is checked once per interval, so the cut comes after one to two intervals, whatever the
    client sends meanwhile. That costs one timer per connection and nothing per request.
    """

    _last_line = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._unparsed = bytearray()
        self._overhead = 0
        self._refusal = NOT_HTTP
        self._refused = False
        self._upgrade = False
        self._seconds = settings().request_timeout_seconds
        self._seen: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        # The port was bound without it (see ``listening``). Connections that are still closing when the service has
        # ended would keep the port from the next one for a minute.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._timer = self.loop.call_later(self._seconds, self._cut_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._timer.cancel()
        self.pipeline.clear()
        self._unparsed.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._unset_keepalive_if_required()
        if len(data) <= PIECE_BYTES and not self._unparsed and not self._refused:
            self._feed(data)
        else:
            self._unparsed += data
            self._parse()

    def _parse(self) -> None:
        """Parse what was read, as far as requests may wait."""
        while self._unparsed and len(self.pipeline) < WAITING and not self._refused and not self.transport.is_closing():
            piece = bytes(self._unparsed[:PIECE_BYTES])
            del self._unparsed[:PIECE_BYTES]
            self._feed(piece)
        if self._refused:
            self._unparsed.clear()
        self.flow.held = bool(self._unparsed)
        if self.flow.held:
            self.flow.pause_reading()

    def _feed(self, piece: bytes) -> None:
        self._overhead += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._feed_without_upgrade(piece[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(*self._refusal)
            return
        if self._overhead > OVERHEAD_BYTES:
            self._refuse(*HEAD_TOO_LARGE)

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """Parse the request again as one that stays with HTTP/1.1, and then what came after its head."""
        kept = [(name, value) for name, value in self.headers if name not in {b"upgrade", b"http2-settings"}]
        kept = [(name, _without_upgrade(value) if name == b"connection" else value) for name, value in kept]
        lines = [b"%s: %s\r\n" % header for header in kept]
        version = self.parser.get_http_version().encode()
        first = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._feed(b"".join([first, *lines, b"\r\n"]))
        if rest and not self._refused:
            self._feed(rest)

    def on_message_begin(self) -> None:
        """See ``httptools.HttpRequestParser``."""
        self._overhead = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See ``httptools.HttpRequestParser``."""
        self._upgrade = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if len(self.headers) > HEADERS:
            self._stop(HEAD_TOO_LARGE)
        if len(self.url) > TARGET_BYTES:
            self._stop(TARGET_TOO_LONG)
        if not self._upgrade:
            super().on_headers_complete()
            self.headers = []  # trailers go there, and not into a request that has been looked at

    def on_body(self, body: bytes) -> None:
        """See ``httptools.HttpRequestParser``."""
        self._overhead = max(0, self._overhead - BODY_PER_OVERHEAD * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See ``httptools.HttpRequestParser``."""
        if not self._upgrade:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when an answer has been written: one more request may wait."""
        super().on_response_complete()
        if self._unparsed:
            self._unset_keepalive_if_required()
            self._parse()
            self.flow.resume_reading()

    def _stop(self, refusal: tuple[HTTPStatus, str, str]) -> None:
        self._refusal = refusal
        raise _Refused

    def _refuse(self, status: HTTPStatus, reason: str, detail: str) -> None:
        self._refused = True
        if count := self.app_state.get(REFUSED):
            count(reason)
        self._log(reason)
        latest: Any = self.cycle  # None before the first request, whatever its type says
        whole = latest is None or not latest.more_body
        if latest is not None and not latest.response_complete and (whole or self.pipeline or latest.response_started):
            latest.keep_alive = False  # its answer is the last one
            return
        body = json.dumps({"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}).encode()
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n" % (status, status.phrase.encode())
        self.transport.write(b"%sContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (head, len(body), body))
        self.transport.close()

    @classmethod
    def _log(cls, reason: str) -> None:
        if time.monotonic() - cls._last_line >= LOG_SECONDS:
            cls._last_line = time.monotonic()
            structlog.get_logger().warning("connection_refused", reason=reason)

    def _cut_if_idle(self) -> None:
        latest: Any = self.cycle
        closing = self.transport.is_closing()
        under_way = latest is not None and not latest.response_complete and not closing
        # uvicorn's own timer runs between two requests, until the first byte of the next.
        waits = self.timeout_keep_alive_task is not None and not closing and not self._unread()
        if not under_way and not waits and latest is self._seen:
            self.transport.abort()  # not close: that waits for the client to read what it was sent
            return
        self._seen = latest
        self._timer = self.loop.call_later(self._seconds, self._cut_if_idle)

    def _unread(self) -> bool:
        """True if the client has not taken all of its answer, as far as this system says."""
        if self.transport.get_write_buffer_size():
            return True
        with suppress(OSError):  # not every system says it of a socket
            unsent = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
            return int.from_bytes(unsent, sys.byteorder) > 0
        return False


def _without_upgrade(connection: bytes) -> bytes:
    tokens = [token.strip() for token in connection.split(b",")]
    return b", ".join(token for token in tokens if token.lower() not in {b"upgrade", b"http2-settings"})
