"""Before lesson 5 one handler does everything: correct where its stage is, dear, and a second copy of all it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.errors import LabError, Refused
from labserver.features.catalogue import Catalogue, Feature, Group, Range
from labserver.features.flight import Flight
from labserver.parts import Context, Ingredients, assemble
from labserver.service.prediction import Answer, Service
from labserver.settings import Settings
from labserver.stages import stage

CLOCK = datetime(2013, 9, 1, 4, tzinfo=UTC)
FLIGHT = Flight("UA", 1545, "EWR", "IAH", "N14228", datetime(2013, 9, 1, 10, 30, tzinfo=UTC), as_of=CLOCK)
NAIVE = range(5)


class Counting:
    """A model that answers one half, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls += 1
        return np.full(len(matrix), 0.5, np.float32)


@pytest.fixture(scope="module")
def folder(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What was built, by links, and a store of its own."""
    own = tmp_path_factory.mktemp("home")
    for name in ("bundle", "warehouse.duckdb", "teaching"):
        (own / name).symlink_to((home / name).resolve())
    return Settings(home=own)


@pytest.fixture(scope="module")
def made(folder: Settings) -> Callable[[int], tuple[Service, Counting]]:
    """Makes a stage's service around a model that counts."""

    def make(lesson: int) -> tuple[Service, Counting]:
        model = Counting()

        def predictor(context: Context, threads: int | None) -> Counting:
            return model

        return assemble(stage(lesson, {"predictor": predictor}), folder)[1], model

    return make


def flights(warehouse: duckdb.DuckDBPyConnection) -> list[Flight]:
    """Of the first day after the clock: all three airports, planes known and unknown, and an override."""
    rows = warehouse.execute(
        """SELECT carrier, flight, origin, dest, tailnum, scheduled_departure FROM flights
           WHERE day = '2013-09-01' ORDER BY hash(flight_id) LIMIT 12"""
    ).fetchall()
    some = [replace(Flight(*row), as_of=CLOCK) for row in rows]
    odd = [
        replace(FLIGHT, tailnum=None),
        replace(FLIGHT, tailnum="N00000"),
        replace(FLIGHT, overrides={"pressure": 990}),
    ]
    return some + odd


def test_its_own_sql_gives_the_vectors_of_the_finished_service_bit_for_bit(
    made: Callable[[int], tuple[Service, Counting]], warehouse: duckdb.DuckDBPyConnection
) -> None:
    (handler, _), (finished, _) = made(4), made(9)
    for flight in flights(warehouse):
        ours, theirs = handler.predict(flight), finished.predict(flight)
        assert ours.vector.values.tobytes() == theirs.vector.values.tobytes(), flight
        assert ours.vector.received.tobytes() == theirs.vector.received.tobytes(), flight
        assert (ours.adjusted, ours.stale) == (theirs.adjusted, theirs.stale)
    explained = [handler.explain(ours.vector), finished.explain(theirs.vector)]
    assert explained[0] == explained[1]


def test_before_lesson_2_the_weather_is_that_of_the_last_day_in_the_warehouse(
    made: Callable[[int], tuple[Service, Counting]], catalogue: Catalogue
) -> None:
    later = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(days=60), as_of=None)
    place = catalogue.names.index("pressure")
    seen = {n: [made(n)[0].vector(f).received[place] for f in (FLIGHT, later)] for n in (1, 2)}
    assert seen[1][0] == seen[1][1] != seen[2][0] != seen[2][1]


@pytest.mark.parametrize("lesson", NAIVE)
def test_what_must_not_be_asked_is_refused_at_every_stage(
    made: Callable[[int], tuple[Service, Counting]], lesson: int
) -> None:
    service, model = made(lesson)
    for field, change in {
        "carrier": {"carrier": "ZZ"},
        "origin": {"origin": "BOS"},
        "dest": {"dest": "EWR"},
        "scheduled_departure": {"scheduled_departure": datetime.max.replace(tzinfo=UTC), "as_of": None},
        "as_of": {"as_of": CLOCK - timedelta(seconds=1)},
        "overrides.snow": {"overrides": {"snow": 1.0}},
    }.items():
        with pytest.raises(Refused) as caught:
            service.predict(replace(FLIGHT, **change))  # type: ignore[arg-type]
        assert caught.value.field == field
        assert caught.value.allowed
    assert model.calls == 0
    fine, refused = service.predict_each([FLIGHT, replace(FLIGHT, carrier="ZZ")])
    assert isinstance(fine, Answer)
    assert isinstance(refused, Refused)


def test_a_batch_is_a_loop_and_a_vector_costs_a_prediction_until_lesson_5(
    made: Callable[[int], tuple[Service, Counting]],
) -> None:
    (handler, asked), (service, asked_once) = made(4), made(5)
    assert len(handler.predict_each([FLIGHT] * 3)) == len(service.predict_each([FLIGHT] * 3)) == 3
    assert (asked.calls, asked_once.calls) == (3, 1)
    handler.vector(FLIGHT), service.vector(FLIGHT)
    assert (asked.calls, asked_once.calls) == (4, 1)


def test_the_rule_stands_in_the_handler_and_no_policy_of_ones_own_gets_in(folder: Settings) -> None:
    class Always:
        def decide(self, probability: float) -> str:
            return "warn"

    def decision(context: Context) -> Always:
        return Always()

    with pytest.raises(LabError, match="the rule stands in the handler: a decision of your own needs --lesson 5"):
        assemble(stage(4, {"decision": decision}), folder)
    _, service = assemble(stage(5, {"decision": decision}), folder)
    assert service.predict(FLIGHT).decision == "warn"


def test_a_feature_that_is_new_in_the_catalogue_is_unknown_to_the_handlers_copy(folder: Settings) -> None:
    parts = stage(4)
    context, _ = assemble(parts, folder)
    snow = Feature("snow", "in", "Snow of the hour", "weather", Range(0, 40))
    group = Group("snow_now", "weather", ("origin",), "weather", None, "SELECT known_at, origin, 0 AS snow", (snow,))
    wider = replace(context, catalogue=Catalogue((*context.catalogue.groups, group)))
    policies = (parts.horizon(wider), parts.ranges(context), parts.completion(context), Counting())
    with pytest.raises(LabError, match="has a copy of each feature's SQL, and none of snow_now"):
        parts.service(Ingredients(wider, *policies, parts.decision(wider)))
