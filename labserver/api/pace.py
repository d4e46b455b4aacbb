"""The pace of refusals. Cheaper refusals do not help: a client that is refused faster asks faster.

A refusal costs about half as much as an answer. Clients that ask again without a pause soon make a server spend its
time on refusals alone. Those that keep to ``Retry-After`` are refused at once, and so are the others as long as they
cost little; beyond that they are answered when the time that they were told is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable

RETRY_SECONDS = 1
"""What a refused client is told to wait, by ``Retry-After``."""
EARLY_AT_ONCE = 500
"""Clients that ask again too early and are refused at once, a second: some 5 % of a core."""
MOST_TOLD = 20_000
"""Connections whose refusals are remembered; a service has hardly as many at once."""

Client = tuple[str, int]
"""Address and port: one connection."""


class Pace:
    """Says how long to hold a refusal back. Of one event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[Client, float] = {}
        self._second = 0.0
        self._early = 0

    def hold(self, client: Client | None) -> float:
        """Seconds until the refusal that is due now should be sent; 0 for at once.

        Args:
            client: whose connection it is; None for a Unix socket, whose clients cannot be told apart.
        """
        now = self._clock()
        left = self._told.get(client, 0.0) - now if client else 0.0
        held = left if left > 0 and not self._at_once(now) else 0.0
        if client:
            self._tell(client, now, now + held + RETRY_SECONDS)
        return held

    def _at_once(self, now: float) -> bool:
        """Take one of this second's early refusals that are sent at once, if any is left."""
        if now - self._second >= 1.0:
            self._second, self._early = now, 0
        self._early += 1
        return self._early <= EARLY_AT_ONCE

    def _tell(self, client: Client, now: float, until: float) -> None:
        if len(self._told) >= MOST_TOLD:
            self._told = {known: when for known, when in self._told.items() if when > now}
        if client in self._told or len(self._told) < MOST_TOLD:
            self._told[client] = until
