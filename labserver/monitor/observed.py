"""The prediction service with a monitor looking over its shoulder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labserver.errors import Refused
from labserver.features.flight import Flight
from labserver.monitor.monitor import Monitor
from labserver.service.prediction import Answer, Service, Vector


class ObservedService:
    """A :class:`~labserver.service.prediction.Service` that tells a monitor what it answered or refused."""

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

    def problem(self) -> str | None:
        """As the service does."""
        return self._service.problem()
