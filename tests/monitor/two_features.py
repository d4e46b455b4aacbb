"""A catalogue of two features, a reference to match, and answers to hand: small enough to count on paper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from labserver.features.catalogue import Catalogue, Feature, Group, Range, Trained
from labserver.features.flight import Flight
from labserver.model.reference import BINS, Reference
from labserver.moments import microseconds
from labserver.monitor.alarm_thresholds import AlarmThresholds
from labserver.monitor.served import Pair
from labserver.monitor.tally import Tally
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
MIDDLES = np.array([np.arange(2.5, 50, 5), np.arange(982.5, 1030, 5), np.arange(0.05, 1, 0.1)])
"""Of the bins: training's values were on average in the middle."""
TENTHS = np.full((3, BINS), 0.1)
REFERENCE = Reference(
    names=("wind", "pressure", "score"),
    edges=EDGES,
    shares=TENTHS,
    worst_day=np.full(3, 0.2),
    worst_month=np.full(3, 0.2),
    usual_missing=np.full(3, 0.01),
    sums=MIDDLES / 10,
    std=np.array([10, 10, 0.1]),
    weekday_mean=np.full((3, 7), np.nan),
    weekday_std=np.full(3, np.nan),
    decides=np.array([0.02, 0.2, np.nan]),
)
"""Of wind, 2 % of decisions depend; of pressure, 20 %."""
LIMITS = AlarmThresholds(
    level=np.tile([[0.5], [0.4], [0.3]], (1, 3)),
    step=np.full(3, 0.4),
    tails=np.full(3, 1.0),
    missing=np.array([0.2, 0.2, np.nan]),
    impossible=np.array([0.05, 0.05, np.nan]),
    stale=np.array([0.3, 0.3, np.nan]),
    still=np.full(3, 12.0),
    rows=np.array([1000.0, 7000.0, 28000.0]),
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


AS_TRAINED = (100,) * BINS


def a_day(
    wind: Sequence[int] = AS_TRAINED,
    pressure: Sequence[int] = AS_TRAINED,
    score: Sequence[int] = AS_TRAINED,
    *,
    rows: int | None = None,
    missing: tuple[int, int] = (0, 0),
    impossible: tuple[int, int] = (0, 0),
    stale: tuple[int, int] = (0, 0),
    hours: int = 20,
    still: tuple[float, float, float] = (0, 0, 0),
) -> Tally:
    """A day by the counts of its bins, all values in the middles; ``rows`` of their sum unless it is given."""
    bins = np.array([wind, pressure, score])
    return Tally(
        rows=sum(wind) if rows is None else rows,
        bins=bins,
        missing=np.array(missing),
        impossible=np.array(impossible),
        sums=bins * MIDDLES,
        stale=np.array(stale),
        weekdays=np.array([sum(wind), 0, 0, 0, 0, 0, 0]),
        lows=np.zeros((1, 3)),
        highs=np.ones((1, 3)),
        hours=hours,
        still=np.array(still, np.float64),
    )
