"""The protocol of a monitor, for the rest of the service."""

from __future__ import annotations

from typing import Any, Protocol

from labserver.features.flight import Flight
from labserver.service.answer import Answer


class Monitor(Protocol):
    """Lesson 9. Sees every answer, and nothing of HTTP."""

    def start(self) -> None:
        """Start; called once the service is ready."""

    def predicted(self, flight: Flight, answer: Answer) -> None:
        """Note an answer. Called within a request: returns at once and never raises."""

    def refused(self, field: str) -> None:
        """Note that a client's value was rejected; ``field`` as in the problem document."""

    def status(self) -> dict[str, Any]:
        """The model's part of ``GET /v1/monitor``."""

    def close(self) -> None:
        """Write everything that was noted and stop."""
