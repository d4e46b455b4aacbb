"""The last 24 hours are a day at any time, and 24 hours before them are another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from two_features import REFERENCE, a_day

from labserver.model.reference import MONTH
from labserver.monitor.tally import DAY_HOURS, WATCHED_HOURS, RecentHours, Tally, total

NOON = 400_000
"""An hour, counted from 1970."""


def an_hour(rows: int = 10, value: float | None = None) -> Tally:
    """An hour of ``rows`` predictions, all with one value if it is given."""
    tally = a_day([rows, *[0] * 9], [rows, *[0] * 9], [rows, *[0] * 9], hours=1)
    return tally if value is None else replace(tally, lows=np.full((1, 3), value), highs=np.full((1, 3), value))


def watched(first: int, last: int, rows: int = 10) -> RecentHours:
    """All hours from ``first`` to ``last`` with as many predictions each."""
    hours = RecentHours(REFERENCE)
    for hour in range(first, last + 1):
        hours.move(hour)
        hours.add(hour, an_hour(rows))
    return hours


def test_today_is_the_last_24_hours_whatever_the_time() -> None:
    for last in (NOON, NOON + 5, NOON + 13):
        assert watched(NOON - 100, last).today().rows == 240


def test_the_hour_under_way_is_one_of_the_24() -> None:
    hours = watched(NOON - 100, NOON - 1)
    hours.move(NOON)
    assert hours.today().rows == 230
    hours.add(NOON, an_hour(3))
    hours.add(NOON, an_hour(4))
    assert (hours.today().rows, hours.today().hours) == (237, DAY_HOURS)


def test_the_days_before_are_24_hours_each_and_at_most_28() -> None:
    days = watched(NOON - 40 * DAY_HOURS, NOON).days()
    assert [day.rows for day in days] == [240] * MONTH
    assert all(day.hours == DAY_HOURS for day in days)


def test_days_are_the_same_before_and_after_the_hour_is_full_and_move_with_the_clock() -> None:
    hours = watched(NOON - 3 * DAY_HOURS, NOON)
    hours.add(NOON, an_hour(1000))
    assert [day.rows for day in hours.days()] == [240, 240]
    hours.move(NOON + DAY_HOURS)
    assert [day.rows for day in hours.days()] == [240, 240, 1240]


def test_a_day_that_was_watched_from_noon_ends_the_days_before() -> None:
    hours = watched(NOON - DAY_HOURS - WATCHED_HOURS + 2, NOON)
    assert hours.days() == []
    hours = watched(NOON - DAY_HOURS - WATCHED_HOURS + 1, NOON)
    assert [day.hours for day in hours.days()] == [WATCHED_HOURS]


def test_a_night_without_questions_is_part_of_a_day() -> None:
    hours = RecentHours(REFERENCE)
    for hour in range(NOON - 2 * DAY_HOURS, NOON + 1):
        hours.move(hour)
        if hour % DAY_HOURS >= 5:
            hours.add(hour, an_hour())
    assert hours.today().whole
    assert [day.hours for day in hours.days()] == [19]


def test_a_clock_that_goes_back_by_more_than_a_day_begins_anew() -> None:
    hours = watched(NOON - 100, NOON)
    hours.move(NOON - DAY_HOURS)
    assert hours.today().rows == 240, "a replay that begins where the last one ended goes back by hours"
    hours.move(NOON - DAY_HOURS - 1)
    assert (hours.today().rows, hours.days()) == (0, [])


def test_a_question_about_the_future_counts_for_the_hour_in_which_it_was_asked() -> None:
    hours = watched(NOON - 30, NOON)
    hours.add(NOON + 5, an_hour(1))
    assert hours.today().rows == 241
    hours.move(NOON + 5)
    assert hours.today().rows == 191


def test_an_answer_that_comes_late_counts_for_its_hour() -> None:
    hours = watched(NOON - 3 * DAY_HOURS, NOON)
    assert [day.rows for day in hours.days()] == [240, 240]
    hours.add(NOON - DAY_HOURS, an_hour(5))
    assert (hours.today().rows, [day.rows for day in hours.days()]) == (240, [240, 245])


def test_nothing_older_than_29_days_is_kept() -> None:
    hours = watched(NOON - 40 * DAY_HOURS, NOON)
    assert len(hours._tallies) == RecentHours.KEPT


def test_hours_without_a_change_are_counted_to_the_clock() -> None:
    hours = RecentHours(REFERENCE)
    for hour, value in enumerate([1.0, 2.0, 2.0, 2.0, 2.0]):
        hours.move(NOON + hour)
        hours.add(NOON + hour, an_hour(value=value))
        assert hours.today().still.tolist() == [max(0, hour - 1)] * 3
    hours.move(NOON + 9)  # nobody asks; nothing changed either
    assert hours.today().still.tolist() == [8] * 3
    hours.add(NOON + 9, an_hour())  # two values in an hour
    assert hours.today().still.tolist() == [0] * 3


def test_a_question_asked_twice_changes_nothing() -> None:
    hours = watched(NOON - 50, NOON)
    first, second = hours.today(), hours.today()
    assert first.still.tolist() == second.still.tolist()


def test_tallies_add_up() -> None:
    both = an_hour(3, value=5.0) + an_hour(4, value=7.0)
    assert (both.rows, int(both.bins[0, 0]), both.sums[0, 0], both.hours) == (7, 7, 7 * 2.5, 2)
    assert (both.lows[0, 0], both.highs[0, 0], both.weekdays[0]) == (5, 7, 7)
    assert total([an_hour(1), an_hour(2), an_hour(3)]).rows == 6


@pytest.mark.parametrize(("hours", "whole"), [(WATCHED_HOURS - 1, False), (WATCHED_HOURS, True)])
def test_a_whole_day_has_17_hours_with_questions(hours: int, whole: bool) -> None:
    assert a_day(hours=hours).whole is whole
