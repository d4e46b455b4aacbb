"""What a request may cost: who may ask, how much they may send, how long it may take, how many at once. Pure ASGI."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labserver.api import dashboard
from labserver.api.admission import Admission
from labserver.api.deadlines import Deadlines
from labserver.api.problems import Problem, problem_response
from labserver.monitor.metrics import HttpMetrics
from labserver.settings import Settings

OPEN = frozenset({"/healthz", "/readyz"}) | dashboard.PATHS
"""Paths that need no key: those a supervisor asks, and the page that asks for the key."""
VITAL = OPEN | {"/metrics", "/v1/monitor"}
"""Paths that are answered however busy the service is: whoever watches it must see that it is busy."""

REASONS = {401: "unauthorised", 408: "timeout", 413: "too_large", 415: "not_json", 503: "overload"}
"""Status to the reason that is counted."""


class Limits:
    """API key, content type, body size, time and number of requests, in front of every route."""

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
        try:
            self._check(scope)
            if scope["path"] in VITAL:
                await self._app(scope, receive, send)
            else:
                await self._timed(scope, receive, send)
        except Problem as problem:
            if scope.get("answering"):
                raise
            self._metrics.rejected(REASONS[problem.status_code])
            await problem_response(problem, scope.get("request_id"))(scope, receive, send)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (an ASGI server runs each request in a task)
        self._deadlines.begin(task)
        try:
            await self._admitted(scope, receive, send)
        except asyncio.CancelledError:
            if not self._deadlines.expired(task):
                raise
            late = f"The request took longer than {self._deadlines.seconds:g} s."
            raise Problem(408, late, headers={"Connection": "close"}) from None
        finally:
            self._deadlines.end(task)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A place is taken once the body is here: clients that send slowly must not keep the others out.

        Where there is no place, the body is not waited for.
        """
        self._enter()
        self._admission.leave()
        message = await receive()
        if message.get("more_body") or len(message.get("body", b"")) > self._max_body:
            message = await self._body(receive, message)
        if message["type"] == "http.disconnect":
            return
        self._enter()
        try:
            await self._app(scope, _replayed(message, receive), send)
        finally:
            self._admission.leave()

    def _enter(self) -> None:
        if not self._admission.enter():
            raise Problem(503, "Too many requests at once. Try again.", headers={"Retry-After": "1"})

    def _check(self, scope: Scope) -> None:
        length = content_type = key = b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                content_type = value
            elif name == b"x-api-key":
                key = value
        if self._key is not None and scope["path"] not in OPEN and not hmac.compare_digest(key, self._key):
            raise Problem(401, "This service needs the key it was started with, as the header X-API-Key.")
        if length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        route = self._posts.get(scope["path"]) if scope["method"] == "POST" else None
        scope["route"] = route  # for the log, until the router does the same: it may not come to that
        if route and not _is_json(content_type):
            allowed = {"field": "Content-Type", "detail": "not JSON", "allowed": "application/json"}
            raise Problem(415, "The body must be sent as application/json.", [allowed])

    async def _body(self, receive: Receive, message: Message) -> Message:
        """The rest of a body that begins with ``message``, as one message, or the news that the client went away.

        Bodies that arrive in pieces share a bounded room, as large as that of all requests that may be inside.
        """
        pieces = bytearray()
        try:
            while message["type"] == "http.request":
                piece = message.get("body", b"")
                if len(pieces) + len(piece) > self._max_body:  # a chunked body declares no length
                    raise self._too_large()
                if len(piece) > self._room:
                    raise Problem(503, "Too much is arriving at once. Try again.", headers={"Retry-After": "1"})
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
    """A ``receive`` that gives a message that is here already, and then whatever comes."""
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
