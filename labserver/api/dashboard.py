"""The dashboard: one page at ``/`` and the files it links to, served from memory.

The page is data-free and needs no key; what it shows it asks for like any client, with the key that its user types.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By suffix. Not from the machine's own table, which differs from one system to the next."""

HEADERS = {
    "Cache-Control": "no-cache",  # kept by the browser, asked for again by its tag: never new HTML with an old script
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class PageFile:
    """One file as an ASGI application."""

    def __init__(self, path: str, file: Path) -> None:
        self.path = path
        self._content = file.read_bytes()
        self._tag = f'"{hashlib.sha256(self._content).hexdigest()[:16]}"'
        self._headers = HEADERS | {"Content-Type": TYPES[file.suffix], "ETag": self._tag}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # for the log, as FastAPI does for its own routes
        known = Request(scope).headers.get("if-none-match", "")
        if self._tag in known:  # as part of it: a proxy that compresses makes the tag weak
            response = Response(status_code=304, headers=self._headers)
        else:
            response = Response(self._content, headers=self._headers)
        await response(scope, receive, send)


def _files() -> Iterator[tuple[str, Path]]:
    yield "/", PAGE / "index.html"
    for file in sorted(PAGE.rglob("*")):
        if file.suffix in TYPES and file.name != "index.html":
            yield f"/page/{file.relative_to(PAGE).as_posix()}", file


PATHS = frozenset(path for path, _ in _files())
"""What a browser loads before it can send a key."""


def dashboard_routes() -> list[Route]:
    """The page and its files, read now. Routes match exactly, so no request reaches another file."""
    return [Route(path, PageFile(path, file), methods=["GET"], include_in_schema=False) for path, file in _files()]
