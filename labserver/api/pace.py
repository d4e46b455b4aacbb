"""The pace of refusals. Cheaper refusals do not help: a client that is refused faster asks faster.

A refusal costs two thirds of an answer. Clients that ask again without a pause soon make a server spend its
time on refusals alone. Those that keep to ``Retry-After`` are refused at once, and so are all while they are few. Of
many, those that ask early are answered when the time that they were told is over.

Few are not held because a proxy, or a generator of load, sends many clients' requests over few connections: if those
were held, requests that could be answered would wait for a connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

FEW = 32
"""Refused connections of which none is held. Each that is more lets two be held, so that of 64 all may be."""
CLIENTS_A_SECOND = 400
"""Connections that are told to come back in the same second; the more there are, the longer each is told to wait."""
MOST_TOLD = 20_000
"""Connections whose refusals are remembered; a service has hardly as many at once."""

Client = tuple[str, int]
"""Address and port: one connection."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How to refuse a request.

    Attributes:
        hold: seconds until the refusal is sent; 0 for at once.
        retry_after: seconds that the client is told to wait from then on.
    """

    hold: float
    retry_after: int


class Pace:
    """Says how to refuse a request. Of one event loop's thread."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``longest`` is the most seconds to hold a refusal: below the time limit of a request."""
        self._longest = longest
        self._clock = clock
        self._told: dict[Client, float] = {}
        self._outside: set[Client] = set()
        self._forget_at = 0.0
        self._held = 0

    def refuse(self, client: Client | None) -> Refusal:
        """How to refuse the request that is here now. If it is held, :meth:`sent` must follow.

        Args:
            client: whose connection it is; None for a Unix socket, whose clients cannot be told apart.
        """
        now = self._clock()
        if now >= self._forget_at:
            self._forget(now)
        early = max(0.0, self._told.get(client, 0.0) - now) if client else 0.0
        hold = min(early, self._longest) if self._held < 2 * (len(self._outside) - FEW) else 0.0
        self._held += hold > 0
        retry_after = max(1, min(1 + len(self._told) // CLIENTS_A_SECOND, int(self._longest)))
        if client and (client in self._told or len(self._told) < MOST_TOLD):
            self._told[client] = now + hold + retry_after
            self._outside.add(client)
        return Refusal(hold, retry_after)

    def sent(self, refusal: Refusal) -> None:
        """A refusal was sent, or its client is gone."""
        self._held -= refusal.hold > 0

    def admitted(self, client: Client | None) -> None:
        """A request was let in: one connection less waits outside. What it was told holds for its next request too.

        Otherwise every connection that is answered would have one refusal at once, and there were as many as answers.
        """
        if client:
            self._outside.discard(client)

    def _forget(self, now: float) -> None:
        """Forget those that may ask again, once a second."""
        self._forget_at = now + 1.0
        self._told = {known: until for known, until in self._told.items() if until > now}
        self._outside.intersection_update(self._told)
