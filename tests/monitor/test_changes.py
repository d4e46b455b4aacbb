"""Feeds that stand still, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labserver.monitor.changes import Changes

NOBODY = float("inf")


def hours(*noted: tuple[int, Sequence[float], Sequence[float]], now: int) -> list[float]:
    """Hours without a change of one column at two places: noted are hour, lows and highs."""
    changes = Changes(2, 1)
    for hour, lows, highs in noted:
        changes.note(hour, np.array(lows)[:, None], np.array(highs)[:, None])
    return [float(value) for value in changes.hours(now)]


def test_nothing_stands_still_before_anything_was_seen() -> None:
    assert hours(now=500) == [0]


def test_the_place_where_it_is_longest_counts() -> None:
    same, moving = (10, [5, 1], [5, 1]), (13, [5, 2], [5, 2])
    assert hours(same, moving, now=14) == [4]


def test_a_value_that_comes_back_has_changed() -> None:
    assert hours(
        (1, [5, NOBODY], [5, -NOBODY]), (2, [6, NOBODY], [6, -NOBODY]), (3, [5, NOBODY], [5, -NOBODY]), now=4
    ) == [1]


def test_an_hour_with_two_values_is_a_change_and_so_is_the_hour_after_it() -> None:
    assert hours((1, [5, NOBODY], [5, -NOBODY]), (2, [5, NOBODY], [6, -NOBODY]), now=2) == [0]
    assert hours((1, [5, NOBODY], [6, -NOBODY]), (2, [5, NOBODY], [5, -NOBODY]), now=9) == [7]


def test_a_place_where_nobody_asked_stands_still_with_the_rest() -> None:
    assert hours((1, [5, 3], [5, 3]), (2, [6, NOBODY], [6, -NOBODY]), now=3) == [2]


def test_a_day_that_nobody_watched_is_no_stillness() -> None:
    for gap, still in ((24, 26), (25, 2)):
        assert hours((1, [5, NOBODY], [5, -NOBODY]), (1 + gap, [5, NOBODY], [5, -NOBODY]), now=gap + 3) == [still]


def test_a_copy_notes_for_itself() -> None:
    changes = Changes(1, 1)
    changes.note(1, np.array([[5.0]]), np.array([[5.0]]))
    other = changes.copy()
    other.note(4, np.array([[6.0]]), np.array([[6.0]]))
    assert (changes.hours(5)[0], other.hours(5)[0]) == (4, 1)
