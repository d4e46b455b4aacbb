"""The prediction service without HTTP: what it answers, what it refuses, and what it says about its own doubts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labserver.errors import Refused
from labserver.features.flight import LEAD_TIME, Flight
from labserver.model.bundle import Bundle
from labserver.parts import assemble
from labserver.service.answer import Answer, all_or_first_refusal
from labserver.service.ports import Service
from labserver.service.schedule import Vocabulary
from labserver.settings import Settings
from labserver.stages.contents import parts_of_stage

CLOCK = datetime(2013, 9, 1, 4, tzinfo=UTC)
FLIGHT = Flight("UA", 1545, "EWR", "IAH", "N14228", datetime(2013, 9, 1, 10, 30, tzinfo=UTC), as_of=CLOCK)


@pytest.fixture(scope="module")
def service(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The finished service over a store of its own, fresh from the snapshot."""
    home: Path = tmp_path_factory.mktemp("home")
    (home / "bundle").symlink_to(bundle.path)
    return assemble(parts_of_stage(9), Settings(home=home))[1]


def same(answer: Answer) -> Answer:
    """All of an answer but its identity."""
    return replace(answer, id="")


def test_an_answer_has_a_probability_a_decision_by_cost_and_an_id_of_its_own(service: Service) -> None:
    one, two = service.predict(FLIGHT), service.predict(FLIGHT)
    assert 0 < one.probability < 1
    assert one.decision == ("warn" if one.probability > 0.25 else "no_warning")
    assert one.id != two.id
    assert same(one) == same(two)
    assert (one.adjusted, one.stale) == ((), ())


@pytest.mark.parametrize(
    ("change", "field", "contains"),
    [
        ({"carrier": "ZZ"}, "carrier", "UA"),
        ({"carrier": "ua"}, "carrier", "UA"),
        ({"origin": "BOS"}, "origin", "EWR"),
        ({"dest": "ZZZ"}, "dest", "IAH"),
        ({"dest": "EWR"}, "dest", "IAH"),
        ({"origin": "LGA", "dest": "SFO"}, "dest", "IAH"),
    ],
)
def test_an_unknown_code_is_refused_with_the_field_and_the_known_ones(
    service: Service, change: dict[str, Any], field: str, contains: str
) -> None:
    def in_a_batch(flight: Flight) -> object:
        return all_or_first_refusal(service.predict_each([FLIGHT, flight]))

    asked: list[tuple[Callable[[Flight], object], str]]
    asked = [(service.predict, ""), (service.vector, ""), (in_a_batch, "flights.1.")]
    for ask, place in asked:
        with pytest.raises(Refused) as caught:
            ask(replace(FLIGHT, **change))
        assert caught.value.field == place + field
        assert contains in caught.value.allowed  # type: ignore[operator]
        assert change[field] not in caught.value.allowed  # type: ignore[operator]


@pytest.mark.parametrize(
    "departure",
    [CLOCK, CLOCK - timedelta(days=1), datetime(2014, 1, 1, 5, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)],
    ids=str,
)
def test_a_departure_outside_the_schedule_is_refused_with_its_ends(service: Service, departure: datetime) -> None:
    with pytest.raises(Refused) as caught:
        service.predict(replace(FLIGHT, scheduled_departure=departure, as_of=None))
    assert caught.value.field == "scheduled_departure"
    assert caught.value.allowed == "after 2013-09-01T04:00:00+00:00 (the clock) and up to 2014-01-01T04:59:00+00:00"
    for told in ("2013", "the clock is the moment up to which", "`labserver replay`", "`labserver clock 2013-09-01`"):
        assert told in caught.value.detail


def test_the_last_flight_of_the_schedule_is_answered(service: Service) -> None:
    last = datetime(2014, 1, 1, 4, 59, tzinfo=UTC)
    assert service.vector(replace(FLIGHT, scheduled_departure=last, as_of=None)).as_of == last - timedelta(hours=2)


def test_now_names_a_departure_that_is_answered_as_of_the_clock_with_fresh_values(service: Service) -> None:
    now = service.now()
    assert now == (CLOCK, CLOCK + LEAD_TIME)
    answer = service.predict(replace(FLIGHT, scheduled_departure=now.departure, as_of=None))
    assert (answer.vector.as_of, answer.stale) == (CLOCK, ())


@pytest.mark.parametrize(
    ("clock", "departure"),
    [
        ("2013-09-01T00:00:00-04:00", "2013-09-01T02:00:00-04:00"),
        ("2013-09-01T00:00:00.000001-04:00", "2013-09-01T02:01:00-04:00"),
        ("2013-11-02T23:30:30-04:00", "2013-11-03T01:31:00-04:00"),
        ("2013-11-02T23:59:30-04:00", "2013-11-03T01:00:00-05:00"),  # two hours later the clocks went back
        ("2013-12-31T21:59:00-05:00", "2013-12-31T23:59:00-05:00"),
        ("2013-12-31T22:30:00-05:00", "2013-12-31T23:59:00-05:00"),
        ("2014-01-05T00:00:00-05:00", "2013-12-31T23:59:00-05:00"),
    ],
)
def test_the_departure_is_a_whole_minute_in_new_york_and_in_the_schedule(
    bundle: Bundle, clock: str, departure: str
) -> None:
    moment = datetime.fromisoformat(clock)
    now = Vocabulary(bundle.vocabulary).now(moment)
    assert (now.clock, now.departure.isoformat()) == (moment, departure)


@pytest.mark.parametrize(
    "as_of",
    [CLOCK - timedelta(microseconds=1), FLIGHT.scheduled_departure + timedelta(microseconds=1)],
    ids=["before the clock", "after the departure"],
)
def test_a_question_for_before_the_clock_or_after_the_departure_is_refused(service: Service, as_of: datetime) -> None:
    with pytest.raises(Refused) as caught:
        service.predict(replace(FLIGHT, as_of=as_of))
    assert caught.value.field == "as_of"
    assert "2013-09-01T04:00:00+00:00 (the clock) to the scheduled departure" in str(caught.value)


@pytest.mark.parametrize("as_of", [CLOCK, FLIGHT.scheduled_departure], ids=["the clock", "the departure"])
def test_a_question_at_either_end_is_answered(service: Service, as_of: datetime) -> None:
    assert service.vector(replace(FLIGHT, as_of=as_of)).as_of == as_of


def test_left_out_the_question_is_put_two_hours_before_departure_but_not_before_the_clock(service: Service) -> None:
    assert service.vector(replace(FLIGHT, as_of=None)).as_of == datetime(2013, 9, 1, 8, 30, tzinfo=UTC)
    soon = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(minutes=30), as_of=None)
    assert service.vector(soon).as_of == CLOCK


def test_the_hour_and_the_weekday_are_new_yorks_whatever_the_offset_of_the_request(service: Service) -> None:
    values = service.vector(FLIGHT).values[0].tolist()
    assert values[:2] == [6.5, 7.0]  # 06:30 on Sunday, 1 September
    evening = replace(FLIGHT, scheduled_departure=datetime(2013, 9, 3, 1, 15, tzinfo=UTC), as_of=None)
    assert service.vector(evening).values[0].tolist()[:2] == [21.25, 1.0]  # still Monday in New York


def test_an_override_of_an_unknown_feature_is_refused_with_the_known_ones(service: Service) -> None:
    with pytest.raises(Refused) as caught:
        service.predict(replace(FLIGHT, overrides={"snow": 1.0}))
    assert caught.value.field == "overrides.snow"
    assert "wind_speed" in str(caught.value.allowed)


def test_an_impossible_override_is_refused_with_the_range(service: Service) -> None:
    with pytest.raises(Refused) as caught:
        service.predict(replace(FLIGHT, overrides={"wind_speed": 1048.36}))
    assert (caught.value.field, caught.value.allowed) == ("overrides.wind_speed", "0 to 150 mph")


def test_an_override_reaches_the_model_and_shows_its_origin(service: Service) -> None:
    vector = service.vector(replace(FLIGHT, overrides={"visibility": 0.25}))
    shown = {row["name"]: row for row in service.explain(vector)}
    assert (shown["visibility"]["value"], shown["visibility"]["origin"]) == (0.25, "override")
    assert shown["visibility"]["known_at"] is shown["visibility"]["age_seconds"] is None
    assert (shown["humidity"]["origin"], shown["humidity"]["known_at"]) == ("airport_weather", CLOCK)
    changed = np.flatnonzero(vector.values[0] != service.vector(FLIGHT).values[0])
    assert [list(shown)[i] for i in changed] == ["visibility"]
    late_plane = {"plane_delay": 180.0, "plane_delay_age": 0.5}
    evening = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(hours=20), as_of=None)
    waiting = replace(evening, overrides=late_plane)
    assert service.predict(waiting).probability > service.predict(evening).probability + 0.1


def test_a_possible_override_that_training_never_saw_is_clipped_and_said_so(service: Service) -> None:
    flight = replace(FLIGHT, overrides={"wind_speed": 140.0})
    [change] = service.predict(flight).adjusted
    assert (change.feature, change.action, change.received) == ("wind_speed", "clipped", 140.0)
    shown = {row["name"]: row for row in service.explain(service.vector(flight))}
    assert (shown["wind_speed"]["adjusted"], shown["wind_speed"]["value"]) == ("clipped", change.used)


@pytest.mark.parametrize("tailnum", [None, "N00000"], ids=["no tailnum", "a plane that no one knows"])
def test_without_a_known_plane_its_features_are_typical_ones_and_listed(service: Service, tailnum: str | None) -> None:
    answer = service.predict(replace(FLIGHT, tailnum=tailnum))
    assert [(a.feature, a.action, a.received) for a in answer.adjusted] == [
        (name, "imputed", None) for name in ("plane_age", "plane_seats", "plane_delay", "plane_delay_age")
    ]
    shown = {row["name"]: row for row in service.explain(service.vector(replace(FLIGHT, tailnum=tailnum)))}
    assert all(shown[a.feature]["value"] == a.used for a in answer.adjusted)
    assert shown["plane_age"]["known_at"] is None


def test_two_hours_after_the_clock_the_live_features_are_stale(service: Service) -> None:
    assert service.predict(replace(FLIGHT, as_of=CLOCK + timedelta(hours=1))).stale == ()
    assert service.predict(replace(FLIGHT, as_of=CLOCK + timedelta(hours=2))).stale == (
        "origin_delay",
        "origin_late_share",
    )


def test_an_override_of_a_stale_feature_is_not_stale(service: Service) -> None:
    flight = replace(FLIGHT, as_of=CLOCK + timedelta(hours=2), overrides={"origin_delay": 5.0})
    assert service.predict(flight).stale == ("origin_late_share",)


def test_days_after_the_clock_everything_that_ages_is_stale(service: Service) -> None:
    later = replace(FLIGHT, scheduled_departure=CLOCK + timedelta(days=3), as_of=None)
    assert service.predict(later).stale == (
        "route_late_rate",
        "carrier_late_rate",
        "airport_late_rate",
        "humidity",
        "wind_speed",
        "precipitation",
        "pressure",
        "visibility",
        "origin_delay",
        "origin_late_share",
    )


def test_the_age_of_a_planes_delay_grows_with_the_question(service: Service) -> None:
    position = 16
    ages = [
        float(service.vector(replace(FLIGHT, as_of=CLOCK + timedelta(hours=hours))).values[0, position])
        for hours in (0, 3)
    ]
    assert ages[1] - ages[0] == pytest.approx(3.0, abs=1e-4)


def many() -> list[Flight]:
    """Flights that differ in everything, some with gaps, overrides and stale values."""
    return [
        Flight(carrier, 1545, "EWR", dest, tailnum, at, None, overrides)
        for carrier, dest in (("UA", "IAH"), ("B6", "FLL"), ("EV", "ORD"))
        for tailnum in (None, "N14228")
        for overrides in ({}, {"pressure": 990.0}, {"wind_speed": 90.0})
        for at in (CLOCK + timedelta(hours=3), CLOCK + timedelta(hours=40))
    ]


def test_many_predictions_at_once_equal_one_by_one_in_order(service: Service) -> None:
    at_once = [same(answer) for answer in all_or_first_refusal(service.predict_each(many()))]
    assert at_once == [same(service.predict(flight)) for flight in many()]
    assert len({answer.probability for answer in at_once}) > 20


def test_many_answers_have_different_ids_and_none_are_none(service: Service) -> None:
    assert len({answer.id for answer in all_or_first_refusal(service.predict_each(many()))}) == len(many())
    assert service.predict_each([]) == []


def test_a_refused_flight_refuses_the_whole_batch(service: Service) -> None:
    with pytest.raises(Refused, match=r"^flights\.1\.carrier: ZZ"):
        all_or_first_refusal(
            service.predict_each([FLIGHT, replace(FLIGHT, carrier="ZZ"), replace(FLIGHT, origin="ZZZ")])
        )


@pytest.mark.parametrize("part", ["values", "received"])
def test_one_answer_does_not_change_the_vector_of_another(service: Service, part: str) -> None:
    read: Callable[[], bytes] = getattr(service.vector(FLIGHT), part).tobytes
    before = read()
    service.predict(replace(FLIGHT, overrides={"pressure": 990.0}))
    assert read() == before
