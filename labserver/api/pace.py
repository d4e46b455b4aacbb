"""The pace of refusals. Cheaper refusals do not help: a client that is refused faster asks faster.

A refusal costs about half as much as an answer. Clients that ask again without a pause soon make a server spend its
time on refusals alone. Those that keep to ``Retry-After`` are refused at once, and so are the others as long as they
cost little; beyond that they are answered when the time that they were told is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

EARLY_AT_ONCE = 100
"""Clients that ask again too early and are refused at once, a second: about 1 % of a core."""
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
        self._second = 0.0
        self._early = 0

    def refuse(self, client: Client | None) -> Refusal:
        """How to refuse the request that is here now.

        Args:
            client: whose connection it is; None for a Unix socket, whose clients cannot be told apart.
        """
        now = self._clock()
        if now - self._second >= 1.0:
            self._begin_second(now)
        left = self._told.get(client, 0.0) - now if client else 0.0
        hold = min(left, self._longest) if left > 0 and not self._at_once() else 0.0
        retry_after = max(1, min(1 + len(self._told) // CLIENTS_A_SECOND, int(self._longest)))
        if client and (client in self._told or len(self._told) < MOST_TOLD):
            self._told[client] = now + hold + retry_after
        return Refusal(hold, retry_after)

    def _begin_second(self, now: float) -> None:
        self._second, self._early = now, 0
        self._told = {known: until for known, until in self._told.items() if until > now}

    def _at_once(self) -> bool:
        """Take one of this second's early refusals that are sent at once, if any is left."""
        self._early += 1
        return self._early <= EARLY_AT_ONCE
