"""Limits of each request: API key, content type, body size, time, and the number of concurrent requests. Pure ASGI."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labserver.api import dashboard
from labserver.api.admission import Admission
from labserver.api.deadlines import Deadlines
from labserver.api.exchange import Exchange, exchange_of
from labserver.api.metrics import HttpMetrics
from labserver.api.problems import Problem, problem_response
from labserver.settings import Settings

PATHS_WITHOUT_KEY = frozenset({"/healthz", "/readyz"}) | dashboard.PAGE_PATHS
"""Paths that need no key: the health checks, and the page on which a user types the key."""
PATHS_ALWAYS_ANSWERED = PATHS_WITHOUT_KEY | {"/metrics", "/v1/monitor"}
"""Paths that are answered however busy the service is: monitoring must see that it is busy."""

REASON_OF_STATUS = {401: "unauthorised", 408: "timeout", 413: "too_large", 415: "not_json", 503: "overload"}
"""Maps a status to the reason that is counted."""


class RequestLimits:
    """The layer in front of every route that enforces the limits."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        admission: Admission,
        metrics: HttpMetrics,
        posts: Mapping[str, BaseRoute],
    ) -> None:
        """``posts`` are the routes that take JSON by POST, by path. At any other path a POST is answered 404 or 405."""
        self._app = app
        self._posts = posts
        self._key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self._max_body = settings.max_body_bytes
        self._room = settings.max_body_bytes * settings.concurrency
        self._deadlines = Deadlines(settings.request_timeout_seconds)
        self._admission = admission
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        try:
            self._check(scope, exchange)
            if scope["path"] in PATHS_ALWAYS_ANSWERED:
                await self._app(scope, receive, send)
            else:
                await self._timed(scope, exchange, receive, send)
        except Problem as problem:
            if exchange.answering:
                raise
            self._metrics.rejected(REASON_OF_STATUS[problem.status_code])
            await problem_response(problem, exchange.request_id)(scope, receive, send)

    async def _timed(self, scope: Scope, exchange: Exchange, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (an ASGI server runs each request in a task)
        self._deadlines.begin(task)
        try:
            await self._admitted(scope, exchange, receive, send)
        except asyncio.CancelledError:
            if not self._deadlines.expired(task):
                raise
            late = f"The request took longer than {self._deadlines.seconds:g} s."
            raise Problem(408, late, headers={"Connection": "close"}) from None
        finally:
            self._deadlines.end(task)

    async def _admitted(self, scope: Scope, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Answer within the limits. A place is taken once the body is here, so slow clients do not keep others out.

        If there is no place, the request is rejected without waiting for its body.
        """
        self._enter()
        self._admission.leave()
        message = await receive()
        if message.get("more_body") or len(message.get("body", b"")) > self._max_body:
            message = await self._body(receive, message)
        if message["type"] == "http.disconnect":
            return
        exchange.body = message.get("body", b"")
        self._enter()
        try:
            await self._app(scope, _replayed(message, receive), send)
        finally:
            self._admission.leave()

    def _enter(self) -> None:
        if not self._admission.enter():
            raise Problem(503, "Too many requests at once. Try again.", headers={"Retry-After": "1"})

    def _check(self, scope: Scope, exchange: Exchange) -> None:
        length = content_type = key = b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                content_type = value
            elif name == b"x-api-key":
                key = value
        if self._key is not None and scope["path"] not in PATHS_WITHOUT_KEY and not hmac.compare_digest(key, self._key):
            raise Problem(401, "The request needs the service's key in the header X-API-Key.")
        if length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        route = self._posts.get(scope["path"]) if scope["method"] == "POST" else None
        exchange.route = getattr(route, "path", None)  # for the log: the request might not reach the router
        if route and not _is_json(content_type):
            allowed = {"field": "Content-Type", "detail": "not JSON", "allowed": "application/json"}
            raise Problem(415, "The body must be sent as application/json.", [allowed])

    async def _body(self, receive: Receive, message: Message) -> Message:
        """The rest of a body that begins with ``message``, as one message; or the message that the client has left.

        Bodies that arrive in pieces share bounded memory: the body limit times the concurrency limit.
        """
        pieces = bytearray()
        try:
            while message["type"] == "http.request":
                piece = message.get("body", b"")
                if len(pieces) + len(piece) > self._max_body:  # a chunked body declares no length
                    raise self._too_large()
                if len(piece) > self._room:
                    raise Problem(503, "Too many bodies are arriving at once. Try again.", headers={"Retry-After": "1"})
                pieces += piece
                self._room -= len(piece)
                if not message.get("more_body"):
                    return {"type": "http.request", "body": bytes(pieces)}
                message = await receive()
            return message
        finally:
            self._room += len(pieces)

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"The body is larger than {self._max_body:,} bytes.",
            [{"field": "body", "detail": "too large", "allowed": f"at most {self._max_body:,} bytes"}],
            headers={"Connection": "close"},
        )


def _replayed(message: Message, receive: Receive) -> Receive:
    """A ``receive`` that returns ``message`` first, and then whatever arrives."""
    waiting = True

    async def replayed() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return message
        return await receive()

    return replayed


def _is_json(content_type: bytes) -> bool:
    return content_type.split(b";")[0].strip().lower() == b"application/json"
