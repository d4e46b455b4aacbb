"""Logs one JSON line per event and per request: no bodies, query strings or addresses, so nothing about a person."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Container
from datetime import UTC, datetime
from itertools import count
from typing import BinaryIO, TextIO, cast

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labserver.api.exchange import begin
from labserver.api.lifecycle import Readiness
from labserver.api.log_writer import log_output
from labserver.api.metrics import HttpMetrics

SECURITY_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class _TextStream:
    """The writer, for Python's own logging."""

    def write(self, text: str) -> int:
        log_output().write(text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        return


def configure(level: str) -> None:
    """Send our own events and those of uvicorn to standard output, as JSON."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(cast(BinaryIO, log_output())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(cast(TextIO, _TextStream()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.PositionalArgumentsFormatter(),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.getLogger("uvicorn.access").disabled = True  # it logs addresses; RequestLog takes its place


class RequestLog:
    """Gives each request an id, returns it as ``X-Request-ID``, and writes and counts one line per request.

    Lines are collected and written a few times a second: one write per line would cost more than the prediction.
    """

    FLUSH_SECONDS = 0.1

    def __init__(
        self,
        app: ASGIApp,
        health: Readiness,
        metrics: HttpMetrics,
        traffic: Container[str],
        enabled: bool,
    ) -> None:
        """``traffic`` are the paths that the service is there for: see :class:`HttpMetrics`."""
        self._app = app
        self._traffic = traffic
        self._health = health
        self._metrics = metrics
        self._output = log_output()
        self._enabled = enabled
        self._lines: list[bytes] = []
        self._prefix = secrets.token_hex(8)
        self._numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            self.flush()
            return
        started = time.perf_counter()
        traffic = scope["path"] in self._traffic
        self._metrics.started(traffic)
        exchange = begin(scope, self._request_id(scope))
        status = 0
        # A HEAD is answered as a GET, of which the server leaves out the body.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope

        async def tagged_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                exchange.answering = True
                status = message["status"]
                headers = message["headers"] = list(message.get("headers", ()))
                headers.append((b"x-request-id", exchange.request_id.encode()))
                headers.extend(SECURITY_HEADERS)
                headers.append((b"content-security-policy", exchange.policy))
                if self._health.draining:  # so that a client's next request goes to another worker
                    headers.append((b"connection", b"close"))
            await send(message)

        try:
            await self._app(asked, receive, tagged_send)
        finally:
            seconds = time.perf_counter() - started
            route = exchange.route_in(asked)
            self._metrics.finished(route, scope["method"], status, seconds, traffic)
            if self._enabled:
                self._write(exchange.request_id, scope["method"], route, status, seconds)

    def flush(self) -> None:
        """Write the collected lines."""
        lines, self._lines = self._lines, []
        self._output.write(b"".join(lines))

    def _write(self, request_id: str, method: str, route: str, status: int, seconds: float) -> None:
        line = {
            "event": "request",
            "level": "info",
            "timestamp": datetime.now(UTC),
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1e3, 3),
        }
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(self.FLUSH_SECONDS, self.flush)

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                return str(value.decode())
        return f"{self._prefix}{next(self._numbers):016x}"
