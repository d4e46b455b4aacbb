"""The detector on the real year, hour by hour: quiet months, the months that set no threshold, and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.finished import drift
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor
from labserver.model.reference import BINS, Reference
from labserver.moments import HOUR, NEW_YORK, from_microseconds, microseconds
from labserver.monitor.alarm_thresholds import AlarmThresholds
from labserver.monitor.drift import DeviationDetector, Finding
from labserver.monitor.impact import Impact
from labserver.monitor.served import AnswerCounter, Served
from labserver.monitor.tally import RecentHours, Tally
from labserver.parts import Context
from labserver.pipeline.incidents import INCIDENTS, incident
from labserver.pipeline.join import FLIGHTS, stale
from labserver.service.decision import ExpectedCost
from labserver.settings import Settings

pytestmark = pytest.mark.slow

Found = list[tuple[date, Finding]]
Year = Callable[[NDArray[np.float32]], dict[int, Tally]]


@pytest.fixture(scope="module")
def detector(bundle: Bundle, catalogue: Catalogue, settings: Settings) -> DeviationDetector:
    return drift(Context(settings, bundle, catalogue))


@pytest.fixture(scope="module")
def reference(bundle: Bundle, catalogue: Catalogue) -> Reference:
    return Reference.read(bundle.reference, catalogue.names)


@pytest.fixture(scope="module")
def count(warehouse: duckdb.DuckDBPyConnection, bundle: Bundle, catalogue: Catalogue, reference: Reference) -> Year:
    """Tallies of the year's hours, for the features of all flights."""
    asked = warehouse.execute(
        "SELECT epoch_us(predicted_at) AS asked, origin::VARCHAR AS origin FROM flights ORDER BY flight_id"
    ).fetchnumpy()
    origins, old = [str(code) for code in asked["origin"]], stale(warehouse, FLIGHTS, catalogue)
    model, counter = OnnxPredictor(bundle.model, threads=2), AnswerCounter(catalogue, reference, sorted(set(origins)))

    def count(raw: NDArray[np.float32]) -> dict[int, Tally]:
        used = clean(raw, catalogue)
        served = Served(
            (), np.asarray(asked["asked"]), raw, used, model.probabilities(used), 0, places=origins, stale=old
        )
        return dict(counter.count(served).hours)

    return count


@pytest.fixture(scope="module")
def year(count: Year, joined: NDArray[np.float32]) -> dict[int, Tally]:
    return count(joined)


def watch(
    detector: DeviationDetector, reference: Reference, hours: dict[int, Tally], first: datetime, last: datetime
) -> Iterator[tuple[datetime, Finding]]:
    """Everything that is found from ``first`` on, at the end of each hour with predictions."""
    recent = RecentHours(reference, 3)
    for hour in range(microseconds(first) // HOUR - 29 * 24, microseconds(last) // HOUR):
        recent.move(hour)
        if hour in hours:
            recent.add(hour, hours[hour])
            if hour >= microseconds(first) // HOUR:
                moment = from_microseconds(hour * HOUR)
                for finding in detector.judge(recent.today(), recent.days()).findings:
                    yield moment, finding


def begun(found: Iterator[tuple[datetime, Finding]]) -> Found:
    """The first of each alert, with New York's day; one that was over for a day begins anew."""
    begins: Found = []
    latest: dict[tuple[str, str | None], datetime] = {}
    for moment, finding in found:
        key = (finding.name, finding.feature)
        if key not in latest or (moment - latest[key]).total_seconds() > 86_400:
            begins.append((moment.astimezone(NEW_YORK).date(), finding))
        latest[key] = moment
    return begins


@pytest.fixture(scope="module")
def alerts(detector: DeviationDetector, reference: Reference, year: dict[int, Tally]) -> Found:
    """Of February to December."""
    return begun(
        watch(detector, reference, year, datetime(2013, 2, 1, tzinfo=NEW_YORK), datetime(2014, 1, 1, tzinfo=NEW_YORK))
    )


def test_quiet_months_raise_nothing(alerts: Found) -> None:
    assert {day for day, _ in alerts if date(2013, 2, 13) <= day < date(2013, 9, 1)} == set()


def test_the_blizzard_and_the_wind_of_1048_mph_ring(alerts: Found) -> None:
    february = {(day.day, finding.name, finding.feature) for day, finding in alerts if day.month == 2}
    assert {(8, "FeatureMissing", "plane_age"), (9, "FeatureFrozen", "origin_delay")} <= february
    assert (12, "FeatureJump", "wind_speed") in february
    assert {day for day, _, _ in february} <= {8, 9, 10, 11, 12}


def test_what_rings_in_the_months_that_set_no_threshold(
    alerts: Found, bundle: Bundle, catalogue: Catalogue, reference: Reference, joined: NDArray[np.float32]
) -> None:
    """Thanksgiving's schedule, and a weather feed that really ends on the last day; all else is a ticket."""
    usual = dict(zip(catalogue.names, reference.decides.tolist(), strict=False))
    late = [(day, finding) for day, finding in alerts if day >= date(2013, 9, 1)]
    weighty = {
        (str(day), finding.name, finding.feature)
        for day, finding in late
        if finding.feature and finding.affected and usual[finding.feature] * finding.affected >= 0.05
    }
    assert weighty == {
        ("2013-11-28", "FeatureUnlikeTraining", "departure_hour"),
        ("2013-12-31", "FeatureFrozen", "humidity"),
    }
    assert len(late) <= 20


def with_incident(
    name: str, joined: NDArray[np.float32], catalogue: Catalogue, since: NDArray[np.bool_]
) -> NDArray[np.float32]:
    chosen, raw = incident(name), joined.copy()
    place = catalogue.names.index(chosen.feature)
    for row in np.flatnonzero(since & ~np.isnan(joined[:, place])).tolist():
        changed = chosen.change(float(joined[row, place]))
        raw[row, place] = np.nan if changed is None else changed
    return raw


@pytest.mark.parametrize(
    ("name", "alert"),
    [
        ("visibility-km", "FeatureOutOfRange"),
        ("pressure-inhg", "FeatureOutOfRange"),
        ("origin-delay-s", "FeatureOutOfRange"),
        ("visibility-lost", "FeatureMissing"),
        ("humidity-share", "FeatureUnlikeTraining"),
    ],
)
@pytest.mark.parametrize("day", [date(2013, 5, 15), date(2013, 10, 16)])
def test_an_incident_is_found_within_the_day(
    name: str,
    alert: str,
    day: date,
    detector: DeviationDetector,
    reference: Reference,
    count: Year,
    joined: NDArray[np.float32],
    catalogue: Catalogue,
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    [asked] = (
        warehouse.execute("SELECT epoch_us(predicted_at) AS asked FROM flights ORDER BY flight_id")
        .fetchnumpy()
        .values()
    )
    begins = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)
    broken = count(with_incident(name, joined, catalogue, asked >= microseconds(begins)))
    found = watch(detector, reference, broken, begins, from_microseconds(microseconds(begins) + 25 * HOUR))
    names = {(finding.name, finding.feature) for _, finding in found}
    assert (alert, INCIDENTS[name].feature) in names
    assert {feature for _, feature in names} == {INCIDENTS[name].feature}


def test_severity_follows_decisions(
    bundle: Bundle, catalogue: Catalogue, reference: Reference, joined: NDArray[np.float32]
) -> None:
    """A feature that is lost counts as it usually decides: humidity is a page, visibility is not."""
    impact = Impact(catalogue, reference, OnnxPredictor(bundle.model), ExpectedCost(1.0, 3.0))
    lost = [Finding("FeatureMissing", "ticket", "Lost.", name, 1.0) for name in ("humidity", "visibility")]
    assert [finding.severity for finding in impact.graded(lost)] == ["page", "ticket"]


def test_bins_of_the_reference_are_as_many_as_promised(reference: Reference) -> None:
    assert reference.shares.shape == (len(reference.names), BINS)
    assert reference.shares.sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_a_bundle_without_thresholds_has_none(bundle: Bundle, catalogue: Catalogue, reference: Reference) -> None:
    without = {name: value for name, value in bundle.reference.items() if name != "alarms"}
    limits = AlarmThresholds.read(without, catalogue.names)
    assert np.isnan(limits.level).all()
    assert np.isnan(limits.still).all()
    recent = RecentHours(reference)
    recent.move(microseconds(datetime(2013, 5, 1, tzinfo=UTC)) // HOUR)
    assert DeviationDetector(catalogue, reference, limits).judge(recent.today(), recent.days()).findings == ()
