"""One typed object per request that its layers share, under one key of ASGI's scope."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

SCOPE_KEY = "labserver.exchange"
STRICT_POLICY = b"default-src 'none'; frame-ancestors 'self'"
"""Content-Security-Policy of an answer that is no page: it loads nothing."""


@dataclass(slots=True)
class Exchange:
    """One request, from its arrival to the end of its answer. Begun by the outermost layer, the log.

    Attributes:
        request_id: in the log, in the answer's header and in problem documents.
        answering: whether the answer has begun; after that nothing else can be answered.
        route: template of the path, as soon as a layer knows it; the framework's router notes its own in the scope.
        body: the whole body, once :class:`labserver.api.limits.RequestLimits` has gathered it.
        policy: Content-Security-Policy of the answer.
    """

    request_id: str
    answering: bool = False
    route: str | None = None
    body: bytes | None = None
    policy: bytes = STRICT_POLICY

    def route_in(self, scope: Scope) -> str:
        """The path's template, from the layer that found it, or ``"unmatched"``."""
        return self.route or getattr(scope.get("route"), "path", None) or "unmatched"


def begin(scope: Scope, request_id: str) -> Exchange:
    """Make the object of a request that has just arrived."""
    exchange = scope[SCOPE_KEY] = Exchange(request_id)
    return exchange


def exchange_of(scope: Scope) -> Exchange:
    """The object of the request.

    Raises:
        KeyError: if the log is not in front of the calling layer.
    """
    exchange: Exchange = scope[SCOPE_KEY]
    return exchange
