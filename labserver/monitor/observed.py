"""The prediction service, wrapped so that a monitor sees its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labserver.errors import Refused
from labserver.features.flight import Flight
from labserver.monitor.ports import Monitor
from labserver.service.answer import Answer, Vector
from labserver.service.ports import Service
from labserver.service.schedule import Now


class ObservedService:
    """A :class:`~labserver.service.prediction.Service` that reports its answers and rejected values to a monitor."""

    def __init__(self, service: Service, monitor: Monitor) -> None:
        self._service, self._monitor = service, monitor

    def vector(self, flight: Flight) -> Vector:
        """As the service does; a vector is not a prediction, and is not noted."""
        return self._service.vector(flight)

    def predict(self, flight: Flight) -> Answer:
        """As the service does."""
        try:
            answer = self._service.predict(flight)
        except Refused as error:
            self._monitor.refused(error.field)
            raise
        self._monitor.predicted(flight, answer)
        return answer

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """As the service does."""
        results = self._service.predict_each(flights)
        for flight, result in zip(flights, results, strict=True):
            if isinstance(result, Refused):
                self._monitor.refused(result.field)
            else:
                self._monitor.predicted(flight, result)
        return results

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """As the service does."""
        return self._service.explain(vector)

    def now(self) -> Now:
        """As the service does."""
        return self._service.now()

    def problem(self) -> str | None:
        """As the service does."""
        return self._service.problem()
