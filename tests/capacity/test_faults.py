"""What each fault does to flights, on six that can be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from labserver.capacity.faults import FAULTS, Flights, constant, frozen, lost, mixed_up, silent, staged, swapped, value
from labserver.features.catalogue import Catalogue

ORIGIN = np.array(["JFK", "LGA", "JFK", "EWR", "LGA", "JFK"])


def six() -> Flights:
    """Six flights with an hour between them: wind is 10, 20, ... 60 and humidity 1, 2, ... 6, once unknown."""
    raw = np.array([[10, 1], [20, 2], [30, 3], [40, np.nan], [50, 5], [60, 6]], np.float32)
    return Flights(("wind", "humidity"), raw, np.zeros((6, 2), np.bool_), ORIGIN, np.arange(6.0))


def column(flights: Flights, number: int = 0) -> list[float]:
    return [float(cell) for cell in flights.raw[:, number]]


def test_a_value_is_published_as_it_is_changed_and_a_missing_one_stays_missing() -> None:
    flights = six()
    value("humidity", lambda percent: percent / 100)(flights)
    assert column(flights, 1) == pytest.approx([0.01, 0.02, 0.03, np.nan, 0.05, 0.06], nan_ok=True)
    assert column(flights) == [10, 20, 30, 40, 50, 60]


def test_a_constant_is_one_number() -> None:
    flights = six()
    constant("wind", 7)(flights)
    assert column(flights) == [7] * 6


def test_two_features_are_swapped() -> None:
    flights = six()
    swapped("wind", "humidity")(flights)
    assert column(flights) == pytest.approx([1, 2, 3, np.nan, 5, 6], nan_ok=True)
    assert column(flights, 1) == [10, 20, 30, 40, 50, 60]


def test_a_frozen_feature_keeps_each_airports_first_value() -> None:
    flights = six()
    frozen("wind")(flights)
    assert column(flights) == [10, 20, 10, 40, 20, 10]
    assert not flights.stale.any()


def test_only_the_airport_that_is_named_stands_still() -> None:
    flights = six()
    frozen("wind", at="JFK")(flights)
    assert column(flights) == [10, 20, 10, 40, 50, 10]


def test_a_silent_feed_is_old_after_its_hours() -> None:
    flights = six()
    silent("wind", at="JFK", fresh_hours=3)(flights)
    assert column(flights) == [10, 20, 10, 40, 50, 10]
    assert flights.stale[:, 0].tolist() == [False, False, False, False, False, True]
    assert not flights.stale[:, 1].any()


def test_what_is_lost_is_lost_at_one_airport_or_for_a_share() -> None:
    flights = six()
    lost("wind", at="LGA")(flights)
    assert np.isnan(column(flights)).tolist() == [False, True, False, False, True, False]
    many = Flights(
        ("wind",), np.ones((9000, 1), np.float32), np.zeros((9000, 1), np.bool_), np.full(9000, "JFK"), np.zeros(9000)
    )
    lost("wind", share=1 / 3)(many)
    assert np.isnan(many.raw).mean() == pytest.approx(1 / 3, abs=0.02)


def test_an_airport_that_is_mixed_up_gets_the_latest_values_of_the_other() -> None:
    """The first flight from JFK has none before it."""
    flights = six()
    mixed_up("wind", one="JFK", other="LGA")(flights)
    assert column(flights) == [10, 20, 20, 40, 50, 50]


def test_a_staged_fault_meets_none_at_first_and_all_in_the_end() -> None:
    hours = np.repeat([0.0, 12.0, 24.0, 48.0], 2000)
    raw, stale = np.ones((8000, 1), np.float32), np.zeros((8000, 1), np.bool_)
    flights = Flights(("wind",), raw, stale, np.full(8000, "JFK"), hours)
    staged(constant("wind", 5), days=1)(flights)
    met = (flights.raw[:, 0] == 5).reshape(4, 2000).mean(axis=1)
    assert met.tolist() == pytest.approx([0, 0.5, 1, 1], abs=0.04)


def test_every_fault_runs_on_the_catalogue_and_changes_something_but_nothing(catalogue: Catalogue) -> None:
    rng = np.random.default_rng(5)
    for fault in FAULTS:
        raw = rng.uniform(catalogue.low, catalogue.high, (300, len(catalogue.names))).astype(np.float32)
        origin = rng.choice(["EWR", "JFK", "LGA"], 300)
        flights = Flights(catalogue.names, raw.copy(), np.zeros(raw.shape, np.bool_), origin, np.linspace(0, 300, 300))
        fault.alter(flights)
        changed = not np.array_equal(flights.raw, raw, equal_nan=True)
        assert changed == (fault.name != "nothing"), fault.name


def test_there_are_some_forty_faults_with_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 35
    assert len({fault.meaning for fault in FAULTS}) == len(FAULTS)
