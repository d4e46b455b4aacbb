"""Before lesson 5 one handler does everything, by the catalogue's definitions: right where its stage is, and slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.flight import Flight
from labserver.features.signature import Signature
from labserver.model.bundle import load_bundle
from labserver.moments import microseconds
from labserver.parts import Context, assemble
from labserver.running.process import own_home
from labserver.service.answer import Answer
from labserver.service.ports import Service
from labserver.settings import Settings
from labserver.stages.contents import parts_of_stage

CLOCK = datetime(2013, 9, 1, 4, tzinfo=UTC)
FLIGHT = Flight("UA", 1545, "EWR", "IAH", "N14228", datetime(2013, 9, 1, 10, 30, tzinfo=UTC), as_of=CLOCK)
NAIVE = range(5)


class Counting:
    """A model that answers one half, and how often it was asked."""

    def __init__(self, signature: Signature) -> None:
        self.calls, self.signature = 0, signature

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls += 1
        return np.full(len(matrix), 0.5, np.float32)


@pytest.fixture(scope="module")
def folder(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What was built, by links, and a store of its own."""
    return Settings(home=own_home(home, tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def made(folder: Settings) -> Callable[[int], tuple[Service, Counting]]:
    """Makes a stage's service around a model that counts."""

    def make(lesson: int) -> tuple[Service, Counting]:
        model = Counting(load_bundle(folder.bundle).signature)

        def predictor(context: Context, threads: int | None) -> Counting:
            return model

        return assemble(parts_of_stage(lesson, {"predictor": predictor}), folder)[1], model

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


def test_the_catalogues_definitions_give_the_vectors_of_the_finished_service_bit_for_bit(
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


def test_nothing_that_comes_after_the_clock_is_in_a_value_of_any_stage(
    made: Callable[[int], tuple[Service, Counting]],
) -> None:
    later = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(days=60), as_of=None)
    for lesson in (1, 4):
        known_at = made(lesson)[0].vector(later).known_at
        assert max(moment for moment in known_at if moment) <= microseconds(CLOCK), lesson


def test_a_question_about_the_past_gets_the_rest_of_its_day_before_lesson_2_and_is_refused_from_lesson_5_on(
    made: Callable[[int], tuple[Service, Counting]],
) -> None:
    noon = datetime(2013, 8, 20, 16, tzinfo=UTC)
    past = replace(FLIGHT, scheduled_departure=noon + timedelta(hours=2), as_of=noon)
    night = datetime(2013, 8, 21, 4, tzinfo=UTC)  # midnight in New York
    by_date, as_known = ({moment for moment in made(lesson)[0].vector(past).known_at if moment} for lesson in (1, 2))
    assert microseconds(noon) < max(by_date) <= microseconds(night)
    assert max(as_known) <= microseconds(noon)
    with pytest.raises(Refused) as caught:
        made(5)[0].vector(past)
    assert caught.value.field == "scheduled_departure"


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
        "as_of": {"as_of": datetime(2012, 12, 31, tzinfo=UTC)},
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


def test_a_policy_of_ones_own_decides_at_every_stage(folder: Settings) -> None:
    class Always:
        def decide(self, probability: float) -> str:
            return "warn"

    for lesson in (0, 4, 5):
        _, service = assemble(parts_of_stage(lesson, {"decision": lambda context: Always()}), folder)
        assert service.predict(FLIGHT).decision == "warn", lesson


def test_a_feature_that_is_new_in_the_catalogue_is_in_the_handlers_vector_too(folder: Settings) -> None:
    first, *others = CATALOGUE.groups
    half = replace(first.features[0], name="half", request=lambda minute, _: minute / 120)
    wider = Catalogue((*others, replace(first, features=(*first.features, half))))
    for lesson in (4, 9):
        _, service = assemble(parts_of_stage(lesson, {"catalogue": lambda settings: wider}), folder)
        _, plain = assemble(parts_of_stage(lesson), folder)
        assert service.vector(FLIGHT).values[0, -1] == np.float32(3.25)  # 6:30 in New York
        assert service.predict(FLIGHT).probability == plain.predict(FLIGHT).probability
