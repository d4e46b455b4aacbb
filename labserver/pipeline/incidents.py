"""Things that go wrong upstream, for replay to publish: each is a mistake that some team has made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labserver.errors import LabError


@dataclass(frozen=True, slots=True)
class Incident:
    """From now on ``feature`` is published as ``change`` makes it; a missing value stays missing."""

    feature: str
    change: Callable[[float], float | None]
    meaning: str


INCIDENTS = {
    "visibility-km": Incident("visibility", lambda miles: miles * 1.609344, "visibility in kilometres, not miles"),
    "pressure-inhg": Incident("pressure", lambda hpa: hpa * 0.02953, "pressure in inches of mercury, not hectopascals"),
    "origin-delay-s": Incident("origin_delay", lambda minutes: minutes * 60, "delays in seconds, not minutes"),
    "visibility-lost": Incident("visibility", lambda miles: None, "no visibility at all"),
    "humidity-share": Incident("humidity", lambda percent: percent / 100, "humidity as a share, not in per cent"),
    "wind-ms": Incident("wind_speed", lambda mph: mph * 0.44704, "wind in metres a second, not miles an hour"),
}


def incident(name: str) -> Incident:
    """The incident of a name.

    Raises:
        LabError: if there is none; lists those there are.
    """
    if name not in INCIDENTS:
        listed = "; ".join(f"{key} ({value.meaning})" for key, value in INCIDENTS.items())
        raise LabError(f"There is no incident {name}. There are: {listed}.")
    return INCIDENTS[name]
