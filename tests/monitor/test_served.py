"""What is notable of a batch: each value is missing, impossible, clipped or none of these, and is counted as one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from two_features import ASKED, CATALOGUE, GAP, PRESSURE, REFERENCE, WIND, answered

from labserver.features.catalogue import Catalogue, Range
from labserver.monitor.served import AnswerCounter, Served

TODAY = ASKED.toordinal()


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
    [(day, tally)] = counted.days.items()
    assert (day, tally.rows) == (TODAY, 5)
    assert tally.missing.tolist() == [2, 0]
    assert tally.impossible.tolist() == [1, 1]
    assert counted.clipped.tolist() == [1, 0]


def test_the_ends_of_the_possible_range_are_possible() -> None:
    batch = Served.from_answers(
        [answered(received=(0, 850), used=(0, 980)), answered(received=(150, 1100), used=(50, 1040))]
    )
    counted = AnswerCounter(CATALOGUE, REFERENCE).count(batch)
    assert counted.days[TODAY].impossible.tolist() == [0, 0]
    assert counted.clipped.tolist() == [1, 2]


def test_the_ends_are_possible_although_float32_does_not_hold_them() -> None:
    """float32 rounds 0.7 down and 1.1 up."""
    narrow = replace(CATALOGUE.groups[0], features=(replace(WIND, possible=Range(0.7, 1.1)), PRESSURE))
    batch = Served.from_answers(
        [answered(received=(value, 1000), used=(value, 1000)) for value in (0.7, 1.1, 0.6, 1.2)]
    )
    counted = AnswerCounter(Catalogue((narrow,)), REFERENCE).count(batch)
    assert counted.days[TODAY].impossible.tolist() == [2, 0]


def test_a_batch_is_counted_for_the_days_of_new_york_on_which_its_questions_were_put() -> None:
    """Midnight in New York is 04:00 UTC in September: one question before it, three after it in two hours."""
    midnight = datetime(2013, 9, 1, 4, tzinfo=UTC)
    moments = (
        midnight - timedelta(minutes=1),
        midnight,
        midnight + timedelta(minutes=59),
        midnight + timedelta(hours=1),
    )
    batch = Served.from_answers([answered(received=(GAP if m < midnight else 20, 1000), asked=m) for m in moments])
    days = AnswerCounter(CATALOGUE, REFERENCE).count(batch).days
    assert {day: (tally.rows, tally.missing.tolist()) for day, tally in days.items()} == {
        TODAY - 1: (1, [1, 0]),
        TODAY: (3, [0, 0]),
    }


def test_one_answer_late_in_the_evening_is_a_batch_of_new_yorks_day() -> None:
    late = datetime(2013, 9, 2, 3, tzinfo=UTC)
    days = AnswerCounter(CATALOGUE, REFERENCE).count(Served.from_answers([answered(asked=late)])).days
    assert {day: tally.rows for day, tally in days.items()} == {TODAY: 1}


def test_a_batch_knows_how_many_warnings_it_holds() -> None:
    assert Served.from_answers([answered(decision="warn"), answered(), answered(decision="warn")]).warned == 2


def test_bins_hold_values_as_received_and_the_typical_one_for_a_gap() -> None:
    """Wind's edges are 5, 10, ... 45: 1048 is in the last bin although the model got 10, and the gap counts as 10.
    A value on an edge, such as a pressure of 1000, is in the bin below it. Every score is 0.25.
    """
    batch = Served.from_answers(
        [answered(received=(1048, 1000), used=(10, 1000)), answered(received=(GAP, 1000), used=(10, 1000))]
    )
    bins = AnswerCounter(CATALOGUE, REFERENCE).count(batch).days[TODAY].bins
    assert bins[0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert bins[1].tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]
    assert bins[2].tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 0, 0]


def test_a_stale_value_is_counted_for_its_feature_as_often_as_it_was_served() -> None:
    batch = Served.from_answers([answered(stale=("wind", "pressure")), answered(stale=("pressure",)), answered()])
    assert AnswerCounter(CATALOGUE, REFERENCE).count(batch).stale.tolist() == [1, 2]
