"""Each limit of the detector, from both sides, on two features that can be counted on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from two_features import CATALOGUE, REFERENCE

from labserver.model.reference import BINS, MONTH
from labserver.monitor import thresholds
from labserver.monitor.drift import DriftLimits, Finding, PsiDetector
from labserver.monitor.tally import Tally

DETECTOR = PsiDetector(CATALOGUE, REFERENCE)
AS_TRAINED = [100] * BINS
NEAR = [200, 50, 50, *[100] * 7]
"""0.1 ln 2 + 2 (-0.05) ln 0.5 = 0.2 ln 2 = 0.14 from training's ten equal shares: below the limit of 0.3."""
FAR = [400, 25, 25, 25, 25, *[100] * 5]
"""0.3 ln 4 + 4 (-0.075) ln 0.25 = 0.6 ln 4 = 0.83: beyond it."""
NOTHING = pytest.approx(float("nan"), nan_ok=True)


def a_day(
    wind: list[int] = AS_TRAINED,
    pressure: list[int] = AS_TRAINED,
    score: list[int] = AS_TRAINED,
    *,
    rows: int | None = None,
    missing: tuple[int, int] = (0, 0),
    impossible: tuple[int, int] = (0, 0),
) -> Tally:
    """Counts by bin; ``rows`` of their sum unless another number is given."""
    return Tally(rows or sum(wind), np.array([wind, pressure, score]), np.array(missing), np.array(impossible))


def test_the_limits_are_1_5_times_the_worst_of_training_and_never_below_a_quarter() -> None:
    worst = np.array([0.1, 0.4, np.nan])
    limits = DriftLimits.from_reference(replace(REFERENCE, worst_day=worst, worst_month=worst))
    assert limits.day.tolist() == pytest.approx([0.25, 0.6, np.nan], nan_ok=True)
    assert limits.month.tolist() == pytest.approx([0.25, 0.6, 0.25])


def test_twice_the_usual_share_may_be_missing_within_bounds() -> None:
    for usual, limit in (([0.01, 0.3], [0.2, 0.6]), ([0.1, 0.6], [0.2, 0.95]), ([0.4, 0.05], [0.8, 0.2])):
        limits = DriftLimits.from_reference(replace(REFERENCE, usual_missing=np.array([*usual, np.nan])))
        assert limits.missing.tolist() == pytest.approx(limit)


def test_a_day_as_training_was_is_not_far_and_raises_nothing() -> None:
    judged = DETECTOR.judge(a_day(), [a_day()])
    assert judged.day.tolist() == [0, 0, 0]
    assert judged.month.tolist() == [NOTHING] * 3
    assert judged.findings == ()


def test_a_day_that_jumped_is_a_page_about_its_feature() -> None:
    judged = DETECTOR.judge(a_day(), [a_day(), a_day(wind=FAR, pressure=NEAR)])
    assert judged.day.tolist() == pytest.approx([0.6 * np.log(4), 0.2 * np.log(2), 0])
    detail = "wind: the last whole day lies 0.83 from training (PSI); the limit is 0.30."
    assert judged.findings == (Finding("FeatureJump", "page", detail, "wind"),)


def test_scores_that_jumped_are_a_page_about_predictions() -> None:
    detail = "Predictions: the last whole day lies 0.83 from training (PSI); the limit is 0.30."
    assert DETECTOR.judge(a_day(), [a_day(score=FAR)]).findings == (Finding("PredictionJump", "page", detail),)


def test_a_distance_that_equals_the_limit_is_not_beyond_it() -> None:
    distance = float(DETECTOR.judge(a_day(), [a_day(wind=FAR)]).day[0])
    for worst, findings in ((distance, 0), (np.nextafter(distance, 0), 1)):
        detector = PsiDetector(CATALOGUE, replace(REFERENCE, worst_day=np.full(3, worst / thresholds.DRIFT_MARGIN)))
        assert len(detector.judge(a_day(), [a_day(wind=FAR)]).findings) == findings


def test_four_weeks_that_drifted_are_a_ticket_about_their_feature_and_about_predictions() -> None:
    """The last day alone is as training was."""
    days = [*[a_day(pressure=FAR, score=FAR)] * (MONTH - 1), a_day(pressure=AS_TRAINED)]
    judged = DETECTOR.judge(a_day(), days)
    assert judged.day.tolist() == [0, 0, 0]
    whole = [27 * far + 100 for far in FAR]
    share = np.array(whole) / sum(whole)
    distance = float(((share - 0.1) * np.log(share / 0.1)).sum())
    assert judged.month.tolist() == pytest.approx([0, distance, distance])
    detail = f"the last 28 days lie {distance:.2f} from training (PSI); the limit is 0.30."
    assert judged.findings == (
        Finding("FeatureDrift", "ticket", f"pressure: {detail}", "pressure"),
        Finding("PredictionDrift", "ticket", f"Predictions: {detail}"),
    )


def test_days_that_cancel_out_are_no_drift() -> None:
    """200 + 0, 50 + 150, 50 + 150 and 100 + 100 make ten equal shares."""
    days = [a_day(wind=[0, 150, 150, *[100] * 7]), a_day(wind=NEAR)] * (MONTH // 2)
    assert DETECTOR.judge(a_day(), days).month.tolist() == [0, 0, 0]


def test_a_month_is_28_days() -> None:
    assert DETECTOR.judge(a_day(), [a_day(wind=FAR)] * (MONTH - 1)).month.tolist() == [NOTHING] * 3
    assert DETECTOR.judge(a_day(), [a_day(wind=FAR)] * MONTH).month[0] > 0.8


def test_a_distance_is_of_300_predictions_or_more() -> None:
    for rows, judged in ((299, False), (300, True)):
        assert np.isfinite(DETECTOR.judge(a_day(), [a_day(rows=rows)]).day).tolist() == [judged] * 3
        days = [*[a_day(rows=10)] * (MONTH - 1), a_day(rows=rows - 270)]
        assert np.isfinite(DETECTOR.judge(a_day(), days).month).tolist() == [judged] * 3


def test_more_than_a_twentieth_of_impossible_values_is_a_page() -> None:
    assert DETECTOR.judge(a_day(rows=100, impossible=(5, 5)), []).findings == ()
    detail = (
        "6% of today's wind is outside 0 to 150 mph, which cannot be: a fault upstream, not the season. Ask weather."
    )
    [finding] = DETECTOR.judge(a_day(rows=100, impossible=(6, 5)), []).findings
    assert finding == Finding("FeatureOutOfRange", "page", detail, "wind")


def test_more_than_a_fifth_of_missing_values_is_a_ticket() -> None:
    assert DETECTOR.judge(a_day(rows=100, missing=(20, 20)), []).findings == ()
    [finding] = DETECTOR.judge(a_day(rows=100, missing=(20, 21)), []).findings
    assert finding == Finding(
        "FeatureMissing", "ticket", "21% of today's pressure is missing. Ask weather.", "pressure"
    )


def test_a_share_is_of_50_predictions_or_more_and_of_yesterdays_until_then() -> None:
    bad, good = a_day(rows=1000, impossible=(1000, 0)), a_day(rows=1000)
    assert DETECTOR.judge(a_day(rows=49, impossible=(49, 0)), []).findings == ()
    assert len(DETECTOR.judge(a_day(rows=50, impossible=(50, 0)), []).findings) == 1
    assert len(DETECTOR.judge(a_day(rows=49), [good, bad]).findings) == 1
    assert DETECTOR.judge(a_day(rows=50), [good, bad]).findings == ()
    assert DETECTOR.judge(a_day(rows=49), [bad, good]).findings == ()


def test_everything_wrong_at_once_is_all_found() -> None:
    today = a_day(rows=100, missing=(50, 50), impossible=(50, 50))
    judged = DETECTOR.judge(today, [a_day(wind=FAR, pressure=FAR, score=FAR)] * MONTH)
    assert [(finding.name, finding.feature) for finding in judged.findings] == [
        ("FeatureOutOfRange", "wind"),
        ("FeatureOutOfRange", "pressure"),
        ("FeatureMissing", "wind"),
        ("FeatureMissing", "pressure"),
        ("FeatureJump", "wind"),
        ("FeatureJump", "pressure"),
        ("PredictionJump", None),
        ("FeatureDrift", "wind"),
        ("FeatureDrift", "pressure"),
        ("PredictionDrift", None),
    ]
