"""Limits of each request: its head, body size, time, and the number of concurrent requests. Pure ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labserver.api.admission import Admission
from labserver.api.deadlines import Deadlines
from labserver.api.exchange import Exchange, exchange_of
from labserver.api.heads import PATHS_WITHOUT_KEY, HeadCheck, too_large
from labserver.api.metrics import HttpMetrics
from labserver.api.pace import Pace
from labserver.api.problems import Problem, problem_response
from labserver.settings import Settings

PATHS_ALWAYS_ANSWERED = PATHS_WITHOUT_KEY | {"/metrics", "/v1/monitor"}
"""Paths that are answered however busy the service is: monitoring must see that it is busy."""

REASON_OF_STATUS = {
    400: "not_http",
    401: "unauthorised",
    403: "foreign_host",
    408: "timeout",
    413: "too_large",
    415: "not_json",
    503: "overload",
}
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
        """``posts``: see :class:`labserver.api.heads.HeadCheck`."""
        self._app = app
        self._check = HeadCheck(settings, posts)
        self._max_body = settings.max_body_bytes
        self._room = settings.max_body_bytes * settings.concurrency
        self._deadlines = Deadlines(settings.request_timeout_seconds)
        self._admission = admission
        self._metrics = metrics
        self._pace = Pace(settings.request_timeout_seconds / 2)

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
        await self._enter(scope)
        self._admission.leave()
        message = await receive()
        if message.get("more_body") or len(message.get("body", b"")) > self._max_body:
            message = await self._body(receive, message)
        if message["type"] == "http.disconnect":
            return
        exchange.body = message.get("body", b"")
        await self._enter(scope)
        self._pace.admitted(scope["client"])
        try:
            await self._app(scope, _replayed(message, receive), send)
        finally:
            self._admission.leave()

    async def _enter(self, scope: Scope) -> None:
        """Take a place, or refuse the request.

        It is refused at once, unless too many are: see :class:`labserver.api.pace.Pace`.
        """
        if self._admission.enter():
            return
        refusal = self._pace.refuse(scope["client"])
        if refusal.hold:
            try:
                await asyncio.sleep(refusal.hold)
            finally:
                self._pace.sent(refusal)
        raise Problem(503, "Too many requests at once. Try again.", headers={"Retry-After": str(refusal.retry_after)})

    async def _body(self, receive: Receive, message: Message) -> Message:
        """The rest of a body that begins with ``message``, as one message; or the message that the client has left.

        Bodies that arrive in pieces share bounded memory: the body limit times the concurrency limit.
        """
        pieces = bytearray()
        try:
            while message["type"] == "http.request":
                piece = message.get("body", b"")
                if len(pieces) + len(piece) > self._max_body:  # a chunked body declares no length
                    raise too_large(self._max_body)
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
