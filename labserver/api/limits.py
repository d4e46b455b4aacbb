"""What a request may cost: who may ask, how much they may send, how long it may take. Pure ASGI."""

from __future__ import annotations

import asyncio
import hmac

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labserver.api.problems import Problem, problem_response
from labserver.settings import Settings

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that need no key: those a supervisor asks."""


class Limits:
    """API key, content type, body size and time, in front of every route."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self._max_body = settings.max_body_bytes
        self._seconds = settings.request_timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check(scope)
            async with asyncio.timeout(self._seconds):
                await self._app(scope, self._bounded(receive), watched_send)
        except Problem as problem:
            if started:
                raise
            await problem_response(problem, scope.get("request_id"))(scope, receive, send)
        except TimeoutError:
            if started:
                raise
            late = Problem(408, f"The request took longer than {self._seconds:g} s.", headers={"Connection": "close"})
            await problem_response(late, scope.get("request_id"))(scope, receive, send)

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
        if scope["method"] == "POST" and content_type.split(b";")[0].strip().lower() != b"application/json":
            allowed = {"field": "Content-Type", "detail": "not JSON", "allowed": "application/json"}
            raise Problem(415, "The body must be sent as application/json.", [allowed])

    def _bounded(self, receive: Receive) -> Receive:
        """Counts what arrives: a chunked body declares no length."""
        total = 0

        async def bounded() -> Message:
            nonlocal total
            message = await receive()
            if message["type"] == "http.request":
                total += len(message.get("body", b""))
                if total > self._max_body:
                    raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"The body is larger than {self._max_body:,} bytes.",
            [{"field": "body", "detail": "too large", "allowed": f"at most {self._max_body:,} bytes"}],
            headers={"Connection": "close"},
        )
