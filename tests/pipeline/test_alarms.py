"""The rule that sets the thresholds: by hand, from January to August alone, and every alarm can fire."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.bundle import Bundle
from labserver.model.reference import MONTH, Reference
from labserver.moments import HOUR, NEW_YORK, microseconds
from labserver.monitor.alarm_thresholds import AlarmThresholds
from labserver.monitor.deviation import Deviation
from labserver.monitor.drift import STATISTICS, DeviationDetector
from labserver.monitor.served import AnswerCounter, Served
from labserver.monitor.tally import RecentHours, Tally
from labserver.pipeline.alarms import EVENTS, MARGIN_LEAST, MONTHS_A_YEAR, Quiet, margin, threshold
from labserver.pipeline.fit import keep
from labserver.pipeline.hourly import Hourly, within
from labserver.pipeline.monitoring import monitoring_statistics
from labserver.pipeline.table import JoinedFlights, TrainingTable
from labserver.pipeline.training import TRAINED_UNTIL

SPRING = np.repeat([2, 3, 4], 10)
"""Three months of ten hours."""
QUIET = Quiet(np.ones(30, np.bool_), SPRING)
ONE = np.array(["live"])
ENDLESS = np.array([np.inf])


def three_months(*highest: float) -> NDArray[np.float64]:
    """A statistic that is 1 but for one hour of each month; shape (30, 1)."""
    found = np.ones((30, 1))
    found[[4, 14, 24], 0] = highest
    return found


def test_the_margin_is_where_an_exponential_tail_has_a_month_in_four_years() -> None:
    """Two of three months were beyond the others, by 0.3 on average: 8 a year, so ln(8 / 0.25) = ln 32 further."""
    assert MONTHS_A_YEAR == 0.25
    assert margin(np.array([[0.2], [0.4], [-0.5]])) == pytest.approx(0.3 * np.log(32))


def test_the_margin_is_never_nothing() -> None:
    assert margin(np.array([[0.0], [-1.0]])) == MARGIN_LEAST
    assert margin(np.array([[1e-9], [0.0]])) == MARGIN_LEAST


def test_a_threshold_is_the_most_extreme_moved_away_from_the_median() -> None:
    """The highest are 2, 2 and 5 above the median of 1. April's excess is 5 / 2 - 1 = 1.5, the other months have none.
    So the margin is 1.5 ln(4 / 0.25), and the threshold 1 + 5 (1 + margin).
    """
    expected = 1 + 5 * (1 + 1.5 * np.log(16))
    found = threshold(three_months(3, 3, 6), QUIET, ONE, hours=1, least=0.1, possible=ENDLESS)
    assert found.tolist() == pytest.approx([expected])


def test_what_never_varied_has_the_least_distance() -> None:
    assert threshold(np.ones((30, 1)), QUIET, ONE, hours=1, least=0.3, possible=ENDLESS).tolist() == [1.3]


def test_a_threshold_is_one_that_possible_inputs_pass_or_there_is_none() -> None:
    """Quiet days reach 6. Where 20 is possible, it is 0.95 of that; where 6.2 is, nothing can be told from them."""
    found = [
        threshold(three_months(3, 3, 6), QUIET, ONE, hours=1, least=0.1, possible=np.array([most])).tolist()
        for most in (20.0, 6.2)
    ]
    assert found == [[pytest.approx(19)], [pytest.approx(np.nan, nan_ok=True)]]


def test_hours_that_are_not_quiet_set_no_threshold() -> None:
    loud = three_months(3, 3, 900)
    mask = np.ones(30, np.bool_)
    mask[24] = False
    found = threshold(loud, Quiet(mask, SPRING), ONE, hours=1, least=0.1, possible=ENDLESS)
    assert found.tolist() == threshold(three_months(3, 3, 1), QUIET, ONE, hours=1, least=0.1, possible=ENDLESS).tolist()


def test_a_window_that_reaches_into_an_hour_that_is_not_quiet_sets_none_either() -> None:
    assert within(np.array([True, True, False, True, True, True]), 2).tolist() == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_column_that_is_never_judged_has_no_threshold() -> None:
    found = threshold(np.full((30, 1), np.nan), QUIET, ONE, hours=1, least=0.1, possible=ENDLESS)
    assert np.isnan(found).all()


@pytest.fixture(scope="module")
def table(warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue, joined: NDArray[np.float32]) -> TrainingTable:
    flights = JoinedFlights.from_warehouse(warehouse, catalogue).flights
    return TrainingTable.from_joined(JoinedFlights(flights, joined), catalogue)


def test_nothing_after_august_sets_a_threshold(
    warehouse: duckdb.DuckDBPyConnection, table: TrainingTable, bundle: Bundle, joined: NDArray[np.float32]
) -> None:
    """With different values, outcomes and times in every row after August, the statistics are equal."""
    changed, flights = joined.copy(), table.flights.copy()
    later = ~table.train
    assert later.sum() > 100_000
    changed[later] = 3.0
    flights.loc[later, "late"] = ~flights.loc[later, "late"].fillna(False).astype(bool)
    flights.loc[later, "asked"] += 7 * 24 * HOUR
    flights.loc[later, "asked_on"] += 7
    features = table.features.copy()
    features.loc[later] = np.float32(3.0)
    altered = replace(table, joined=JoinedFlights(flights, changed), features=features)
    found = [monitoring_statistics(warehouse, t, keep(bundle, t), 0.25) for t in (table, altered)]
    assert found[0] == found[1]


def test_the_quiet_hours_are_february_to_august_without_the_events() -> None:
    first, last = (
        microseconds(datetime(2013, 1, 1, tzinfo=NEW_YORK)),
        microseconds(datetime(2014, 1, 1, tzinfo=NEW_YORK)),
    )
    hours = np.arange(first // HOUR, last // HOUR)
    quiet = Quiet.of(Hourly(int(hours[0]), {"rows": np.zeros(len(hours))}))
    assert set(quiet.month[quiet.mask].tolist()) == {2, 3, 4, 5, 6, 7, 8}
    assert hours[quiet.mask].max() == microseconds(TRAINED_UNTIL) // HOUR - 1
    blizzard = microseconds(EVENTS[0][0]) // HOUR
    assert not quiet.mask[(hours >= blizzard) & (hours < blizzard + 5 * 24)].any()
    assert quiet.mask.sum() == (212 - 5) * 24 - 1, "one hour of March does not exist"


@pytest.fixture(scope="module")
def detector(bundle: Bundle, catalogue: Catalogue) -> DeviationDetector:
    return DeviationDetector(
        catalogue,
        Reference.read(bundle.reference, catalogue.names),
        AlarmThresholds.read(bundle.reference, catalogue.names),
    )


ALL_OR_NOTHING = {"airport_late_rate", "pressure"}
"""On quiet days all of a day's values are in one outer bin and the next day none: their tails have no threshold."""


def all_at(value: NDArray[np.float64], reference: Reference, weekday: int) -> Tally:
    """A day of 1,000 predictions, each feature with one value: possible, and as far away as it can be."""
    empty = Tally.empty(reference)
    bins = reference.bins_of(value[None].astype(np.float32))[0]
    counts, sums, weekdays = empty.bins.copy(), empty.sums.copy(), empty.weekdays.copy()
    counts[np.arange(len(bins)), bins] = 1000
    sums[np.arange(len(bins)), bins] = 1000 * value
    weekdays[weekday] = 1000
    return replace(empty, rows=1000, bins=counts, sums=sums, weekdays=weekdays, hours=20)


def test_every_alarm_can_fire_on_possible_values(
    detector: DeviationDetector, bundle: Bundle, catalogue: Catalogue
) -> None:
    """Days at either end of what is possible, one end after the other, with nothing known, or with nothing new."""
    reference = Reference.read(bundle.reference, catalogue.names)
    low, high = (np.append(ends, end).astype(np.float64) for ends, end in ((catalogue.low, 0.0), (catalogue.high, 1.0)))
    ends = [all_at(value, reference, weekday) for value in (low, high) for weekday in (0, 6)]
    everything = np.full(len(catalogue.names), 1000)
    ends += [replace(ends[0], missing=everything, impossible=everything, stale=everything)]
    ends += [replace(ends[0], still=np.full(len(reference.names), 1e4))]
    highest = {name: np.full(len(reference.names), -np.inf) for name in STATISTICS}
    for today in ends:
        for before in (ends[0], ends[3]):
            judged = detector.judge(today, [before] * MONTH), detector.judge(today, [today] * MONTH)
            for name in STATISTICS:
                highest[name] = np.fmax(highest[name], np.fmax(judged[0].ratios[name], judged[1].ratios[name]))
    columns = np.array(reference.names)
    deaf = {name: set(columns[~(ratio > 1)].tolist()) for name, ratio in highest.items()}
    calendar = {feature.name for feature in catalogue.features if feature.request}
    none: dict[str, set[str]] = {name: set() for name in STATISTICS}
    never = {"step": calendar, "tails": calendar | ALL_OR_NOTHING}
    never |= {name: {"score"} for name in ("missing", "impossible", "stale")}
    assert deaf == none | never


def test_the_hours_of_training_have_the_statistics_that_the_service_would_have_seen(
    warehouse: duckdb.DuckDBPyConnection, table: TrainingTable, bundle: Bundle, catalogue: Catalogue
) -> None:
    """Two ways to the same numbers: cumulative sums over the stretch, and the service's own hour after hour."""
    reference = Reference.read(bundle.reference, catalogue.names)
    some = table.train & (table.flights["asked_on"].to_numpy() < datetime(2013, 2, 9).toordinal())
    raw, asked = table.joined.raw[some], table.flights["asked"].to_numpy()[some]
    origins = [str(code) for code in table.flights["origin"][some]]
    scores = np.linspace(0, 1, len(raw), dtype=np.float32)
    served = Served((), asked, raw, raw, scores, 0, places=origins, stale=raw > 50)
    hours = AnswerCounter(catalogue, reference, sorted(set(origins))).count(served).hours
    hourly, deviation = Hourly.from_tallies(hours, reference), Deviation(catalogue, reference)
    found = hourly.statistics(deviation)
    unlimited = AlarmThresholds(
        level=np.ones((3, len(reference.names))),
        **{
            name: np.ones(len(reference.names)) for name in ("step", "tails", "missing", "impossible", "stale", "still")
        },
        rows=np.zeros(3) + 1e-9,
    )
    detector, recent, compared = DeviationDetector(catalogue, reference, unlimited), RecentHours(reference, 3), 0
    for number in range(len(hourly)):
        hour = hourly.first + number
        recent.move(hour)
        if hour not in hours:
            continue
        recent.add(hour, hours[hour])
        if number % 7 == 0 and recent.today().whole:
            ratios = detector.judge(recent.today(), recent.days()).ratios
            for name, ratio in ratios.items():
                expected = found[name][number]
                if name in ("missing", "impossible", "stale"):
                    expected = np.append(expected, np.nan)
                if number >= 29 * 24 or np.isfinite(expected).any():  # before, a stretch's first day is not whole
                    assert ratio == pytest.approx(expected, abs=1e-9, nan_ok=True), (name, number)
                    compared += int(np.isfinite(ratio).any())
    assert compared > 600
