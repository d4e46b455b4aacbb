"""The dashboard: one page at ``/`` and the files it links to, served from memory.

The page holds no data and needs no key. It requests what it shows like any client, with the key that its user types.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from labserver.api.exchange import exchange_of

PAGE_FOLDER = Path(__file__).parent / "page"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types by suffix. The machine's own table differs from one system to the next."""

PAGE_HEADERS = {
    "Cache-Control": "no-cache",  # kept by the browser, asked for again by its tag: never new HTML with an old script
}
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class PageFile:
    """One file as an ASGI application."""

    def __init__(self, path: str, file: Path) -> None:
        self.path = path
        self._content = file.read_bytes()
        self._tag = f'"{hashlib.sha256(self._content).hexdigest()[:16]}"'
        self._headers = PAGE_HEADERS | {"Content-Type": MEDIA_TYPES[file.suffix], "ETag": self._tag}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        exchange.route, exchange.policy = self.path, PAGE_POLICY
        known = Request(scope).headers.get("if-none-match", "")
        if self._tag in known:  # as part of it: a proxy that compresses makes the tag weak
            response = Response(status_code=304, headers=self._headers)
        else:
            response = Response(self._content, headers=self._headers)
        await response(scope, receive, send)


def _files() -> Iterator[tuple[str, Path]]:
    yield "/", PAGE_FOLDER / "index.html"
    for file in sorted(PAGE_FOLDER.rglob("*")):
        if file.suffix in MEDIA_TYPES and file.name != "index.html":
            yield f"/page/{file.relative_to(PAGE_FOLDER).as_posix()}", file


PAGE_PATHS = frozenset(path for path, _ in _files())
"""Paths that a browser loads before it can send a key."""


def dashboard_routes() -> list[Route]:
    """The page and its files, read now. Routes match exactly, so no request reaches another file."""
    return [Route(path, PageFile(path, file), methods=["GET"], include_in_schema=False) for path, file in _files()]
