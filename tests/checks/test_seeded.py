"""The inputs of lessons 3 and 4 have the faults that they claim, and the shipped parts do not solve the exercises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from exercises.checks.attempt import Attempt
from exercises.checks.joined import FLIGHT_KEY, JoinedTables, joined
from exercises.checks.lesson_03 import ORDINARY_DAYS, completes, meets
from exercises.checks.lesson_03_bugs import BUGS, Bug
from exercises.checks.lesson_04 import LEAST_CAUGHT, accepts
from exercises.checks.lesson_04_traffic import CORRUPTIONS, traffic
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.settings import Settings


@pytest.fixture(scope="module")
def tables(settings: Settings) -> JoinedTables:
    return joined(settings.warehouse, *ORDINARY_DAYS)


def test_the_frames_agree_with_each_other(tables: JoinedTables) -> None:
    features, flights, weather = tables
    pd.testing.assert_frame_equal(features[FLIGHT_KEY], flights[FLIGHT_KEY])
    assert not flights.duplicated(FLIGHT_KEY).any()
    assert not weather.duplicated(["origin", "known_at"]).any()
    assert set(features["weather_known_at"]) <= set(weather["known_at"])
    local = flights["time_hour"].dt.tz_convert("America/New_York")
    assert (local.dt.hour == flights["sched_dep_time"] // 100).all()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.seed.__name__)
def test_a_bug_changes_what_it_says_and_nothing_else(bug: Bug, tables: JoinedTables) -> None:
    seeded = bug.seed(tables)
    assert list(seeded) == list(tables.features)
    if not bug.columns:
        assert len(
            seeded.merge(tables.features[FLIGHT_KEY], how="outer", on=FLIGHT_KEY, indicator=True).query(
                "_merge != 'both'"
            )
        ) or (len(seeded) > len(tables.features))
        return
    changed = [name for name in seeded if not seeded[name].equals(tables.features[name])]
    assert changed
    assert set(changed) <= set(bug.columns)


def test_a_missed_bug_is_not_given_away(tables: JoinedTables) -> None:
    for number, bug in enumerate(BUGS, start=1):
        found = meets(lambda *frames: [], tables, bug, number)
        assert not found.passed
        shown = " ".join([found.what, found.sent, found.received, found.expected, found.why])
        assert not [name for name in (*bug.columns, bug.seed.__name__) if name in shown]


def test_the_shipped_completion_does_not_solve_lesson_3(catalogue: Catalogue, tables: JoinedTables) -> None:
    findings = completes(TypicalValues(catalogue), catalogue, tables)
    assert [next(findings).passed for _ in range(2)] == [True, False]


def test_the_shipped_ranges_do_not_solve_lesson_4(catalogue: Catalogue, settings: Settings) -> None:
    asked = traffic(Attempt(4, Path("lesson_04.py"), settings), catalogue)
    assert {request.kind for request in asked.corrupted} == {corruption.what for corruption in CORRUPTIONS}
    shipped = CatalogueRanges(catalogue)
    caught = [
        not accepts(shipped, request.feature, request.body["overrides"][request.feature]) for request in asked.corrupted
    ]
    assert 50 < 100 * np.mean(caught) < LEAST_CAUGHT
