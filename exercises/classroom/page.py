"""The board's page and its files, from memory. They hold no data, so they need no key."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE_FOLDER = Path(__file__).parent / "page"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Headers of every answer."""


def page_routes() -> list[Route]:
    """A route a file, read now. No request reaches another file."""
    return [_route(file) for file in sorted(PAGE_FOLDER.iterdir()) if file.suffix in MEDIA_TYPES]


def _route(file: Path) -> Route:
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = SECURITY_HEADERS | {
        "ETag": tag,
        "Cache-Control": "no-cache",
        "Content-Type": f"{MEDIA_TYPES[file.suffix]}; charset=utf-8",
    }

    async def get(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return Route("/" if file.name == "index.html" else f"/page/{file.name}", get, methods=["GET"])
