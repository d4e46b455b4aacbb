"""What is notable of a batch: each value is missing, impossible, clipped or none of these, and is counted as one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from two_features import ASKED, CATALOGUE, GAP, PRESSURE, REFERENCE, WIND, answered

from labserver.features.catalogue import Catalogue, Range
from labserver.moments import HOUR, microseconds
from labserver.monitor.served import AnswerCounter, Served

NOW = microseconds(ASKED) // HOUR


def test_a_value_is_counted_as_missing_impossible_or_clipped_and_never_as_two_of_them() -> None:
    """Wind: 20 is as training knew it, 140 is possible and clipped to 50, 1048 is impossible, and two are missing."""
    batch = Served.from_answers(
        [
            answered(received=(20, 1000), used=(20, 1000)),
            answered(received=(140, 1000), used=(50, 1000)),
            answered(received=(1048, 1000), used=(10, 1000)),
            answered(received=(GAP, 1000), used=(10, 1000)),
            answered(received=(GAP, 200), used=(10, 1015)),
        ]
    )
    counted = AnswerCounter(CATALOGUE, REFERENCE).count(batch)
    [(hour, tally)] = counted.hours.items()
    assert (hour, tally.rows) == (NOW, 5)
    assert tally.missing.tolist() == [2, 0]
    assert tally.impossible.tolist() == [1, 1]
    assert counted.clipped.tolist() == [1, 0]


def test_the_ends_of_the_possible_range_are_possible() -> None:
    batch = Served.from_answers(
        [answered(received=(0, 850), used=(0, 980)), answered(received=(150, 1100), used=(50, 1040))]
    )
    counted = AnswerCounter(CATALOGUE, REFERENCE).count(batch)
    assert counted.hours[NOW].impossible.tolist() == [0, 0]
    assert counted.clipped.tolist() == [1, 2]


def test_the_ends_are_possible_although_float32_does_not_hold_them() -> None:
    """float32 rounds 0.7 down and 1.1 up."""
    narrow = replace(CATALOGUE.groups[0], features=(replace(WIND, possible=Range(0.7, 1.1)), PRESSURE))
    batch = Served.from_answers(
        [answered(received=(value, 1000), used=(value, 1000)) for value in (0.7, 1.1, 0.6, 1.2)]
    )
    counted = AnswerCounter(Catalogue((narrow,)), REFERENCE).count(batch)
    assert counted.hours[NOW].impossible.tolist() == [2, 0]


def test_a_batch_is_counted_for_the_hours_in_which_its_questions_were_put_and_for_the_weekday_of_new_york() -> None:
    """Midnight in New York is 04:00 UTC in September; 1 September 2013 was a Sunday."""
    midnight = datetime(2013, 9, 1, 4, tzinfo=UTC)
    moments = (
        midnight - timedelta(minutes=1),
        midnight,
        midnight + timedelta(minutes=59),
        midnight + timedelta(hours=1),
    )
    batch = Served.from_answers([answered(received=(GAP if m < midnight else 20, 1000), asked=m) for m in moments])
    hours = AnswerCounter(CATALOGUE, REFERENCE).count(batch).hours
    first = microseconds(midnight) // HOUR
    assert {hour: (tally.rows, tally.missing.tolist()) for hour, tally in hours.items()} == {
        first - 1: (1, [1, 0]),
        first: (2, [0, 0]),
        first + 1: (1, [0, 0]),
    }
    assert {hour: int(np.argmax(tally.weekdays)) for hour, tally in hours.items()} == {
        first - 1: 5,
        first: 6,
        first + 1: 6,
    }
    assert [tally.weekdays.sum() for tally in hours.values()] == [1, 2, 1]


def test_sums_are_of_the_values_in_each_bin() -> None:
    """Wind: 20 and 19 are in the fourth bin, 1048 is in the last, and a gap counts as the typical 10."""
    batch = Served.from_answers([answered(received=(wind, 1000)) for wind in (20, 19, 1048, GAP)])
    sums = AnswerCounter(CATALOGUE, REFERENCE).count(batch).hours[NOW].sums
    assert sums[0].tolist() == [0, 10, 0, 39, 0, 0, 0, 0, 0, 1048]


def test_extremes_are_of_each_airport_and_infinite_where_nobody_asked() -> None:
    received = np.array([[20, 1000], [30, 990], [5, 1010]], np.float32)
    asked = np.full(3, microseconds(ASKED))
    scores = np.array([0.1, 0.3, 0.2], np.float32)
    served = Served((), asked, received, received, scores, 0, places=["JFK", "JFK", "EWR"], stale=received < 0)
    tally = AnswerCounter(CATALOGUE, REFERENCE, ["EWR", "JFK", "LGA"]).count(served).hours[NOW]
    assert tally.lows.tolist() == [
        pytest.approx([5, 1010, 0.2]),
        pytest.approx([20, 990, 0.1]),
        [np.inf, np.inf, np.inf],
    ]
    assert tally.highs.tolist() == [
        pytest.approx([5, 1010, 0.2]),
        pytest.approx([30, 1000, 0.3]),
        [-np.inf, -np.inf, -np.inf],
    ]


def test_a_batch_knows_how_many_warnings_it_holds() -> None:
    assert Served.from_answers([answered(decision="warn"), answered(), answered(decision="warn")]).warned == 2


def test_bins_hold_values_as_received_and_the_typical_one_for_a_gap() -> None:
    """Wind's edges are 5, 10, ... 45: 1048 is in the last bin although the model got 10, and the gap counts as 10.
    A value on an edge, such as a pressure of 1000, is in the bin below it. Every score is 0.25.
    """
    batch = Served.from_answers(
        [answered(received=(1048, 1000), used=(10, 1000)), answered(received=(GAP, 1000), used=(10, 1000))]
    )
    bins = AnswerCounter(CATALOGUE, REFERENCE).count(batch).hours[NOW].bins
    assert bins[0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert bins[1].tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]
    assert bins[2].tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 0, 0]


def test_a_stale_value_is_counted_for_its_feature_as_often_as_it_was_served() -> None:
    batch = Served.from_answers([answered(stale=("wind", "pressure")), answered(stale=("pressure",)), answered()])
    counted = AnswerCounter(CATALOGUE, REFERENCE).count(batch)
    assert counted.stale.tolist() == [1, 2]
    assert counted.hours[NOW].stale.tolist() == [1, 2]
