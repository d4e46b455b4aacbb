from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue
from labserver.features.flight import LEAD_TIME, Flight
from labserver.features.materialise import set_clock
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.features.store import connect
from labserver.parts import assemble
from labserver.service.prediction import PredictionService
from labserver.settings import Settings
from labserver.stages import stage

CLOCK = datetime.fromisoformat("2013-09-01T00:00:00-04:00")
FLIGHT = Flight("UA", 1545, "EWR", "ORD", "N14228", CLOCK + timedelta(hours=2, minutes=10))


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Settings:
    """A home of the test's own, with its own online store."""
    for name in ("bundle", "warehouse.duckdb", "teaching"):
        (tmp_path / name).symlink_to((home / name).resolve())
    return Settings(home=tmp_path)


@pytest.fixture
def service(own: Settings) -> PredictionService:
    _, service = assemble(stage(9), own)
    assert isinstance(service, PredictionService)
    return service


def test_served_vectors_are_the_training_vectors(
    own: Settings,
    service: PredictionService,
    warehouse: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    joined: NDArray[np.float32],
) -> None:
    rows = warehouse.execute(
        """SELECT flight_id, carrier, flight, origin, dest, tailnum, scheduled_departure, predicted_at FROM flights
           WHERE day >= '2013-09-01' AND predicted_at >= $clock AND (flight_id % 400 = 0 OR
               (day IN ('2013-11-03', '2013-12-31') AND flight_id % 40 = 0)) ORDER BY predicted_at, flight_id""",
        {"clock": CLOCK},
    ).fetchall()
    assert len(rows) > 300
    store = connect(own.online_store, catalogue)
    for flight_id, carrier, number, origin, dest, tailnum, departure, predicted_at in rows:
        set_clock(warehouse, store, catalogue, predicted_at)
        trained = joined[flight_id - 1 : flight_id].copy()
        CatalogueRanges(catalogue).apply(trained)
        TypicalValues(catalogue).apply(trained)
        served = service.vector(Flight(carrier, number, origin, dest, tailnum, departure))
        assert served.values.tobytes() == trained.tobytes(), (flight_id, predicted_at)


def test_the_aggregates_of_the_naive_stage_are_the_same_numbers(own: Settings, service: PredictionService) -> None:
    _, naive = assemble(stage(4), own)
    for hour in (3, 9, 15):
        flight = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(hours=hour), as_of=CLOCK)
        assert naive.vector(flight).values.tobytes() == service.vector(flight).values.tobytes()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"carrier": "ZZ"}, "carrier"),
        ({"origin": "BOS"}, "origin"),
        ({"dest": "HNL", "origin": "LGA"}, "dest"),
        ({"scheduled_departure": CLOCK - timedelta(minutes=1)}, "scheduled_departure"),
        ({"scheduled_departure": CLOCK + timedelta(days=200)}, "scheduled_departure"),
        ({"as_of": CLOCK - timedelta(minutes=1)}, "as_of"),
        ({"as_of": CLOCK + timedelta(hours=3)}, "as_of"),
        ({"overrides": {"snow": 1.0}}, "overrides.snow"),
        ({"overrides": {"visibility": 16.0}}, "overrides.visibility"),
    ],
)
def test_what_is_refused_is_named(service: PredictionService, change: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        service.predict(replace(FLIGHT, **change))  # type: ignore[arg-type]
    assert refused.value.field == field
    assert refused.value.allowed


def test_many_are_as_one_by_one(service: PredictionService) -> None:
    flights = [replace(FLIGHT, overrides={"visibility": v}) for v in (0.25, 3.0, 10.0)] + [
        replace(FLIGHT, tailnum=None)
    ]
    many = [(a.probability, a.decision, a.adjusted, a.stale) for a in service.predict_many(flights)]
    single = [service.predict(flight) for flight in flights]
    assert many == [(a.probability, a.decision, a.adjusted, a.stale) for a in single]
    assert len({a.probability for a in single}) > 1


def test_an_unknown_plane_shows_in_the_answer(service: PredictionService) -> None:
    shown = {a.feature: a.action for a in service.predict(replace(FLIGHT, tailnum=None)).adjusted}
    assert shown == dict.fromkeys(("plane_age", "plane_seats", "plane_delay", "plane_delay_age"), "imputed")


def test_old_values_are_reported_and_overrides_are_not(service: PredictionService) -> None:
    later = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(hours=6))
    assert service.predict(FLIGHT).stale == ()
    assert later.asked_at(CLOCK) == CLOCK + timedelta(hours=6) - LEAD_TIME
    stale = service.predict(later).stale
    assert {"origin_delay", "origin_late_share"} < set(stale)
    assert "origin_delay" not in service.predict(replace(later, overrides={"origin_delay": 5.0})).stale


def test_every_value_has_an_origin(service: PredictionService, catalogue: Catalogue) -> None:
    told = service.explain(service.vector(replace(FLIGHT, overrides={"wind_speed": 30.0})))
    assert [value["name"] for value in told] == list(catalogue.names)
    origins = {value["name"]: value["origin"] for value in told}
    assert (origins["wind_speed"], origins["weekday"], origins["distance"]) == ("override", "request", "route")
