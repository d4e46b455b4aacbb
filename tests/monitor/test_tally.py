"""Days are told apart by New York's calendar, and complete when they are over."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from labserver.features.catalogue import Catalogue
from labserver.model.bundle import Bundle
from labserver.model.reference import MONTH, Reference
from labserver.moments import NEW_YORK
from labserver.monitor.tally import DailyTallies, Tally

DAY = datetime(2013, 9, 1, 0, 30, tzinfo=NEW_YORK)


@pytest.fixture(scope="module")
def reference(bundle: Bundle, catalogue: Catalogue) -> Reference:
    return Reference.read(bundle.reference, catalogue.names)


def tally(reference: Reference, rows: int) -> Tally:
    empty = Tally.empty(reference)
    return Tally(rows, empty.bins + rows, empty.missing, empty.impossible)


def watch(days: DailyTallies, reference: Reference, moment: datetime, rows: int) -> None:
    days.move(moment)
    days.add(moment.toordinal(), tally(reference, rows))


def test_a_day_is_complete_once_the_clock_stands_in_the_next(reference: Reference) -> None:
    days = DailyTallies(reference)
    watch(days, reference, DAY, 10)
    watch(days, reference, DAY + timedelta(hours=20), 5)
    assert (days.today().rows, len(days.complete())) == (15, 0)
    watch(days, reference, DAY + timedelta(days=1), 7)
    assert (days.today().rows, [t.rows for t in days.complete()]) == (7, [15])


def test_no_more_than_a_month_is_kept(reference: Reference) -> None:
    days = DailyTallies(reference)
    for day in range(100):
        watch(days, reference, DAY + timedelta(days=day), day)
    assert [t.rows for t in days.complete()] == list(range(99 - MONTH, 99))


def test_a_day_that_was_watched_from_noon_is_not_complete(reference: Reference) -> None:
    days = DailyTallies(reference)
    watch(days, reference, DAY.replace(hour=12), 10)
    watch(days, reference, DAY + timedelta(days=1), 20)
    watch(days, reference, DAY + timedelta(days=2), 30)
    assert [t.rows for t in days.complete()] == [20]


def test_a_clock_that_goes_back_begins_anew(reference: Reference) -> None:
    days = DailyTallies(reference)
    for day in range(3):
        watch(days, reference, DAY + timedelta(days=day), 10)
    watch(days, reference, DAY, 4)
    assert (days.today().rows, len(days.complete())) == (4, 0)
    watch(days, reference, DAY + timedelta(days=1), 6)
    assert (days.today().rows, [t.rows for t in days.complete()]) == (6, [4]), (
        "what was seen before is not counted twice"
    )


def test_a_question_about_the_future_waits_for_its_day(reference: Reference) -> None:
    days = DailyTallies(reference)
    watch(days, reference, DAY, 10)
    days.add((DAY + timedelta(days=1)).toordinal(), tally(reference, 1))
    assert days.today().rows == 10
    watch(days, reference, DAY + timedelta(days=1), 5)
    assert days.today().rows == 6


def test_tallies_add_up(reference: Reference) -> None:
    total = tally(reference, 3) + tally(reference, 4)
    assert (total.rows, int(total.bins[0, 0])) == (7, 7)
    assert not np.any(total.missing)
