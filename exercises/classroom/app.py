"""The board over HTTP: learners join and post, the instructor reads. Each needs a secret.

The instructor's key travels in the Authorization header and never in a cookie: a cookie for this host would go to every
other port of it too, and the browser would add it to requests that other pages make.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from exercises.classroom.errors import RefusedByBoard
from exercises.classroom.figures import figures
from exercises.classroom.keys import same_code, same_key
from exercises.classroom.messages import BODY_BYTES, BoardMessage, Join, Posts
from exercises.classroom.page import SECURITY_HEADERS, page_routes
from exercises.classroom.posts_csv import csv_of
from exercises.classroom.store import Store, connect

BODY_SECONDS = 10.0
PRIVATE = SECURITY_HEADERS | {"Cache-Control": "no-store"}

Sent = TypeVar("Sent", bound=BoardMessage)


def create_app(store: Store, titles: Sequence[str], board: str) -> Starlette:
    """The application over an open class.

    Args:
        store: the class.
        titles: of the lessons, in order.
        board: the address that learners use, for the page.
    """
    room = Classroom(store, titles, board)
    routes = [
        Route("/join", room.join, methods=["POST"]),
        Route("/results", room.results, methods=["POST"]),
        Route("/board", room.board, methods=["GET"]),
        Route("/results.csv", room.csv, methods=["GET"]),
    ]
    errors: Any = {HTTPException: _refused, RefusedByBoard: _refused, 500: _refused}
    return Starlette(routes=[*page_routes(), *routes], exception_handlers=errors)


class Classroom:
    """The handlers of each address."""

    def __init__(self, store: Store, titles: Sequence[str], board: str) -> None:
        self._store, self._titles, self._address = store, titles, board
        self._reading = threading.Lock()
        self._reader = connect(store.path, only_read=True)
        self._started = secrets.token_hex(4)
        self._shown: tuple[str, bytes] = ("", b"")

    async def join(self, request: Request) -> Response:
        """Register a learner who knows the code."""
        wish = await _body(request, Join)
        if not same_code(wish.code, self._store.code):
            raise HTTPException(401, "The code is wrong. The board's page shows the right one.")
        try:
            name = await asyncio.wrap_future(self._store.join(wish.token, wish.name))
        except (queue.Full, sqlite3.Error):
            raise _busy() from None
        return JSONResponse({"name": name}, 201, PRIVATE)

    async def results(self, request: Request) -> Response:
        """Keep a learner's results. The answer comes when they are on disk."""
        sent = await _body(request, Posts)
        try:
            new = await asyncio.wrap_future(self._store.post(_bearer(request), sent.posts))
        except (queue.Full, sqlite3.Error):
            raise _busy() from None
        return JSONResponse({"new": new}, 200, PRIVATE)

    async def board(self, request: Request) -> Response:
        """Everything on the page, or 304 if nothing was written since."""
        self._only_instructor(request)
        known = request.headers.get("if-none-match", "")
        tag, content = await run_in_threadpool(self._show)
        headers = PRIVATE | {"ETag": tag, "Content-Type": "application/json"}
        return Response(status_code=304, headers=headers) if known == tag else Response(content, headers=headers)

    async def csv(self, request: Request) -> Response:
        """Every post, as it is read from the disk."""
        self._only_instructor(request)
        headers = PRIVATE | {"Content-Disposition": 'attachment; filename="results.csv"'}
        return StreamingResponse(csv_of(self._store.path), headers=headers, media_type="text/csv; charset=utf-8")

    def _show(self) -> tuple[str, bytes]:
        """The page's figures and their tag: read once for all viewers."""
        with self._reading:
            [version] = self._reader.execute("PRAGMA data_version").fetchone()  # changes with each commit
            tag = f'"{self._started}-{version}"'
            if tag != self._shown[0]:
                all_of_it = figures(self._reader, self._titles) | {"code": self._store.code, "board": self._address}
                self._shown = (tag, JSONResponse(all_of_it).body)  # type: ignore[assignment]
            return self._shown

    def _only_instructor(self, request: Request) -> None:
        if not same_key(_bearer(request), self._store.key):
            raise HTTPException(401, "Only the instructor's key opens this. `lab classroom` prints it.")


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


async def _body(request: Request, message: type[Sent]) -> Sent:
    """The message of a request, if it is small enough, in time and valid."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_BYTES:
                    raise HTTPException(413, f"A request has at most {BODY_BYTES:,} bytes.")
        return message.model_validate_json(bytes(body))
    except TimeoutError:
        raise HTTPException(408, f"The request did not arrive within {BODY_SECONDS:.0f} s.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The request did not arrive.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part)[:40] for part in first["loc"]) or "body"
        raise HTTPException(422, f"{field}: {first['msg']}") from None


def _busy() -> HTTPException:
    return HTTPException(503, "The board cannot write just now. Try again.", {"Retry-After": "1"})


def _refused(request: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            return JSONResponse({"detail": error.detail}, error.status_code, PRIVATE | dict(error.headers or {}))
        case RefusedByBoard():
            return JSONResponse({"detail": str(error)}, error.status, PRIVATE)
    return JSONResponse({"detail": "The board made a mistake; its terminal shows it."}, 500, PRIVATE)
