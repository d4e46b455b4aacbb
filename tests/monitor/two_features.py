"""A catalogue of two features, a reference to match, and answers to hand: small enough to count on paper."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from labserver.features.catalogue import Catalogue, Feature, Group, Range, Trained
from labserver.features.flight import Flight
from labserver.model.reference import BINS, Reference
from labserver.moments import microseconds
from labserver.monitor.served import Pair
from labserver.service.answer import Answer, Vector
from labserver.service.decision import Decision

ASKED = datetime(2013, 9, 1, 12, tzinfo=UTC)
FLIGHT = Flight("UA", 1545, "EWR", "ORD", "N14228", datetime(2013, 9, 1, 14, tzinfo=UTC))
GAP = float("nan")

WIND = Feature(
    name="wind",
    unit="mph",
    meaning="Speed of the wind",
    owner="weather",
    possible=Range(0, 150),
    trained=Trained(Range(0, 50), 10),
)
PRESSURE = Feature(
    name="pressure",
    unit="hPa",
    meaning="Air pressure",
    owner="weather",
    possible=Range(850, 1100),
    trained=Trained(Range(980, 1040), 1015),
)
WEATHER = Group(
    name="weather", kind="weather", entity=("origin",), source="weather", sql="SELECT 1", features=(WIND, PRESSURE)
)
CATALOGUE = Catalogue((WEATHER,))

EDGES = np.array([np.arange(5, 50, 5), np.arange(985, 1030, 5), np.arange(1, 10) / 10], np.float32)
TENTHS = np.full((3, BINS), 0.1)
REFERENCE = Reference(
    names=("wind", "pressure", "score"),
    edges=EDGES,
    shares=TENTHS,
    worst_day=np.full(3, 0.2),
    worst_month=np.full(3, 0.2),
    usual_missing=np.full(3, 0.01),
)


def answered(
    received: tuple[float, float] = (20, 1000),
    used: tuple[float, float] = (20, 1000),
    decision: Decision = "no_warning",
    stale: tuple[str, ...] = (),
    asked: datetime = ASKED,
) -> Pair:
    """A flight and its answer, for features as received and as the model saw them."""
    vector = Vector(
        as_of=asked,
        asked=microseconds(asked),
        clock=ASKED,
        values=np.array([used], np.float32),
        received=np.array(received, np.float32),
        known_at=(None,),
        overridden=frozenset(),
    )
    return FLIGHT, Answer("0" * 32, vector, 0.25, decision, (), stale)
