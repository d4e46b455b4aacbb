"""The detector on the real year: no page in any month, the season is a ticket, a fault is a page within the day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor
from labserver.model.reference import BINS, MONTH, Reference, as_received
from labserver.monitor.drift import DriftLimits, Finding, PsiDetector
from labserver.monitor.tally import Tally
from labserver.pipeline.incidents import INCIDENTS, incident

LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
STARTS = [0, *accumulate(LENGTHS)]
Count = Callable[[NDArray[np.float32]], list[Tally]]


@pytest.fixture(scope="module")
def reference(bundle: Bundle, catalogue: Catalogue) -> Reference:
    return Reference.read(bundle.reference, catalogue.names)


@pytest.fixture(scope="module")
def detector(reference: Reference, catalogue: Catalogue) -> PsiDetector:
    return PsiDetector(catalogue, reference)


@pytest.fixture(scope="module")
def count(
    joined: NDArray[np.float32],
    warehouse: duckdb.DuckDBPyConnection,
    bundle: Bundle,
    catalogue: Catalogue,
    reference: Reference,
) -> Count:
    """Tallies of every day of 2013, for a matrix of all flights."""
    asked = warehouse.execute(
        "SELECT date_diff('day', DATE '2013-01-01', predicted_at::DATE) AS day FROM flights ORDER BY flight_id"
    ).fetchnumpy()["day"]
    used = joined.copy()
    CatalogueRanges(catalogue).apply(used)
    TypicalValues(catalogue).apply(used)
    score = OnnxPredictor(bundle.model, threads=2).probabilities(used)
    low = np.array([f.possible.low for f in catalogue.features], np.float32)
    high = np.array([f.possible.high for f in catalogue.features], np.float32)
    rows_of = [np.flatnonzero(asked == day) for day in range(365)]

    def count(raw: NDArray[np.float32]) -> list[Tally]:
        matrix = np.column_stack([as_received(raw, catalogue), score])
        missing, impossible = np.isnan(raw), (raw < low) | (raw > high)
        return [
            Tally(len(rows), reference.count(matrix[rows]), missing[rows].sum(axis=0), impossible[rows].sum(axis=0))
            for rows in rows_of
        ]

    return count


@pytest.fixture(scope="module")
def year(count: Count, joined: NDArray[np.float32]) -> list[Tally]:
    return count(joined)


def found(detector: PsiDetector, tallies: Sequence[Tally], first: int, last: int) -> list[Finding]:
    """Everything found on the days of a period that is watched from its first day on."""
    return [
        finding
        for day in range(first, last)
        for finding in detector.judge(tallies[day], tallies[max(first, day - MONTH) : day]).findings
    ]


def with_incident(name: str, joined: NDArray[np.float32], catalogue: Catalogue) -> NDArray[np.float32]:
    chosen, raw = incident(name), joined.copy()
    place = catalogue.names.index(chosen.feature)
    for i, value in enumerate(raw[:, place].tolist()):
        changed = None if np.isnan(value) else chosen.change(value)
        raw[i, place] = np.nan if changed is None else changed
    return raw


@pytest.mark.parametrize("month", [2, 3, 4, 5, 6, 7, 8, 12])
def test_a_quiet_month_raises_nothing(detector: PsiDetector, year: list[Tally], month: int) -> None:
    assert not found(detector, year, STARTS[month - 1], STARTS[month])


def test_the_first_day_of_the_data_has_no_history_and_january_is_quiet_after_it(
    detector: PsiDetector, year: list[Tally]
) -> None:
    assert {finding.name for finding in found(detector, year, 0, 2)} == {"FeatureMissing"}
    assert not found(detector, year, 2, STARTS[1])


def test_the_season_is_a_ticket_about_many_features_and_never_a_page(detector: PsiDetector, year: list[Tally]) -> None:
    season = found(detector, year, STARTS[7], STARTS[11])
    assert {finding.name for finding in season} == {"FeatureDrift", "PredictionDrift"}
    assert {finding.severity for finding in season} == {"ticket"}
    drifting = {finding.feature for finding in season if finding.feature}
    assert len(drifting) >= 4
    assert not drifting & {"visibility", "wind_speed", "humidity", "pressure", "distance", "departure_hour"}


@pytest.mark.parametrize(
    ("name", "alert"),
    [
        ("visibility-km", "FeatureOutOfRange"),
        ("pressure-inhg", "FeatureOutOfRange"),
        ("origin-delay-s", "FeatureOutOfRange"),
        ("visibility-lost", "FeatureMissing"),
    ],
)
def test_an_incident_is_found_on_whichever_day_it_begins(
    name: str,
    alert: str,
    detector: PsiDetector,
    count: Count,
    joined: NDArray[np.float32],
    catalogue: Catalogue,
) -> None:
    broken = count(with_incident(name, joined, catalogue))
    for day in range(3, 365):
        findings = detector.judge(broken[day], []).findings
        assert [(f.name, f.feature) for f in findings] == [(alert, INCIDENTS[name].feature)], day


def test_a_unit_that_stays_possible_takes_weeks(
    detector: PsiDetector, count: Count, joined: NDArray[np.float32], catalogue: Catalogue, year: list[Tally]
) -> None:
    """The limit of the method, measured: three airports' weather is too few draws a day."""
    broken = count(with_incident("wind-ms", joined, catalogue))
    for start in STARTS[2:10]:
        seen = [*year[start - MONTH : start], *broken[start : start + MONTH]]
        first = next(
            day
            for day in range(MONTH)
            for f in detector.judge(seen[MONTH + day], seen[day : MONTH + day]).findings
            if f.feature == "wind_speed"
        )
        assert 2 < first < MONTH


def test_few_predictions_are_no_day(detector: PsiDetector, reference: Reference) -> None:
    empty = Tally.empty(reference)
    handful = Tally(20, empty.bins, empty.missing + 20, empty.impossible + 20)
    judged = detector.judge(handful, [handful])
    assert not judged.findings
    assert np.isnan(judged.day).all()
    assert np.isnan(judged.month).all()


def test_after_midnight_yesterday_counts_until_today_has_said_enough(
    detector: PsiDetector, reference: Reference
) -> None:
    empty = Tally.empty(reference)
    bad = Tally(200, empty.bins, empty.missing, empty.impossible + 200)
    assert detector.judge(Tally.empty(reference), [bad]).findings
    good = Tally(200, empty.bins, empty.missing, empty.impossible)
    assert not detector.judge(good, [bad]).findings


def test_a_bundle_without_worst_days_gets_the_rule_of_thumb(bundle: Bundle, catalogue: Catalogue) -> None:
    kept = {"edges", "shares", "missing", "mean"}
    features = {
        name: {key: value for key, value in column.items() if key in kept}
        for name, column in bundle.reference["features"].items()
    }
    score = {key: value for key, value in bundle.reference["score"].items() if key in kept}
    limits = DriftLimits.from_reference(Reference.read({"features": features, "score": score}, catalogue.names))
    assert np.isnan(limits.day).all()
    assert (limits.month == 0.25).all()


def test_bins_of_the_reference_are_as_many_as_promised(reference: Reference) -> None:
    assert reference.shares.shape == (len(reference.names), BINS)
    assert reference.shares.sum(axis=1) == pytest.approx(1, abs=1e-4)
