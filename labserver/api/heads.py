"""What a request's head must say before its body is read: host, key, length, type and encoding of the body."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from http import HTTPStatus

from starlette.routing import BaseRoute
from starlette.types import Scope

from labserver.api import dashboard
from labserver.api.exchange import Exchange
from labserver.api.listening import is_loopback
from labserver.api.problems import Problem
from labserver.settings import Settings

PATHS_WITHOUT_KEY = frozenset({"/healthz", "/readyz"}) | dashboard.PAGE_PATHS
"""Paths that need no key: the health checks, and the page on which a user types the key."""


class HeadCheck:
    """Refuses a request by its head.

    A service on loopback without a key answers requests for this machine's own names alone. A web page that a user has
    open can let its name resolve to 127.0.0.1; the browser then takes this service for the page's own (DNS rebinding).
    """

    def __init__(self, settings: Settings, posts: Mapping[str, BaseRoute]) -> None:
        """``posts`` are the routes that take JSON by POST, by path. At any other path a POST is answered 404 or 405."""
        self._posts = posts
        self._key = settings.api_key.get_secret_value().encode() if settings.api_key is not None else None
        self._max_body = settings.max_body_bytes
        self._names = frozenset(["localhost", *settings.hosts.lower().replace(",", " ").split()])
        self._any_host = "*" in self._names or self._key is not None or not is_loopback(settings.host)

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """Find the route of a POST, for the log: the request might not reach the router.

        Raises:
            Problem: 400, 401, 403, 413 or 415.
        """
        length = content_type = encoding = b""
        hosts, keys = [], []
        for name, value in scope["headers"]:
            match name:
                case b"content-length":
                    length = value
                case b"content-type":
                    content_type = value
                case b"content-encoding":
                    encoding = value
                case b"x-api-key":
                    keys.append(value)
                case b"host":
                    hosts.append(value)
        self._check_host(hosts, scope)
        self._check_key(keys, scope)
        if length.isdigit() and int(length) > self._max_body:
            raise too_large(self._max_body)
        route = self._posts.get(scope["path"]) if scope["method"] == "POST" else None
        exchange.route = getattr(route, "path", None)
        if route:
            _check_body(content_type, encoding)

    def _check_host(self, hosts: list[bytes], scope: Scope) -> None:
        if len(hosts) > 1 or (not hosts and scope["http_version"] == "1.1"):
            raise Problem(HTTPStatus.BAD_REQUEST, "A request of HTTP/1.1 has one header Host.")
        # A Unix socket has no port, and no browser reaches it. HTTP/1.0 without Host is a balancer's health check.
        if self._any_host or not hosts or not scope["server"] or scope["server"][1] is None:
            return
        name = _without_port(hosts[0].decode("latin-1")).lower()
        if name not in self._names and not _is_loopback_address(name):
            detail = "This service answers for this machine alone. Ask 127.0.0.1 or localhost, or set LABSERVER_HOSTS."
            raise Problem(HTTPStatus.FORBIDDEN, detail)

    def _check_key(self, keys: list[bytes], scope: Scope) -> None:
        if self._key is None or scope["path"] in PATHS_WITHOUT_KEY:
            return
        if len(keys) != 1 or not hmac.compare_digest(keys[0], self._key):
            raise Problem(
                HTTPStatus.UNAUTHORIZED, "The request needs the service's key, once, in the header X-API-Key."
            )


def too_large(max_body: int) -> Problem:
    """The answer to a body that is too large."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {max_body:,} bytes.",
        [{"field": "body", "detail": "too large", "allowed": f"at most {max_body:,} bytes"}],
        headers={"Connection": "close"},
    )


def _check_body(content_type: bytes, encoding: bytes) -> None:
    if content_type.split(b";")[0].strip().lower() != b"application/json":
        allowed = {"field": "Content-Type", "detail": "not JSON", "allowed": "application/json"}
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be sent as application/json.", [allowed])
    if encoding.strip().lower() not in {b"", b"identity"}:
        allowed = {"field": "Content-Encoding", "detail": "not taken", "allowed": "identity, or no such header"}
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The body must be sent as it is, without a content encoding.",
            [allowed],
            headers={"Accept-Encoding": "identity"},
        )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback_address(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
