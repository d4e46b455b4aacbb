"""Each threshold of the detector, from both sides, on two features that can be counted on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from two_features import AS_TRAINED, CATALOGUE, LIMITS, REFERENCE, a_day

from labserver.model.reference import BINS, MONTH
from labserver.monitor.drift import DeviationDetector, Finding
from labserver.monitor.tally import WATCHED_HOURS, Tally

DETECTOR = DeviationDetector(CATALOGUE, REFERENCE, LIMITS)
FAR = [200, 100, 100, 100, 100, 100, 100, 100, 100, 0]
"""A tenth of the values went from the last bin's middle to the first's: 45 of wind's unit, so the mean moved by 4.5 and
the distance is 0.45 of its standard deviations of 10."""
FURTHER = [300, 100, 100, 100, 100, 100, 100, 100, 0, 0]
"""And a tenth from the last bin but one: (45 + 40) / 10 / 10 = 0.85."""
NOTHING = pytest.approx([np.nan] * 3, nan_ok=True)


def found(
    today: Tally, days: Sequence[Tally] = (), detector: DeviationDetector = DETECTOR
) -> list[tuple[str, str | None]]:
    return [(finding.name, finding.feature) for finding in detector.judge(today, days).findings]


def test_a_day_as_training_was_is_not_far_and_raises_nothing() -> None:
    judged = DETECTOR.judge(a_day(), [a_day()])
    assert judged.day.tolist() == pytest.approx([0, 0, 0])
    assert judged.month.tolist() == NOTHING
    assert judged.findings == ()


def test_a_day_unlike_training_is_a_finding_about_its_feature_whose_severity_is_open() -> None:
    [finding] = DETECTOR.judge(a_day(wind=FURTHER), []).findings
    detail = "wind: the last 24 hours are 0.85 standard deviations from training; the threshold is 0.50. Ask weather."
    assert finding == Finding("FeatureUnlikeTraining", "ticket", detail, "wind", affected=1.0)
    assert found(a_day(wind=FAR)) == [], "0.45 is below 0.5"


def test_a_distance_that_equals_its_threshold_is_not_beyond_it() -> None:
    distance = float(DETECTOR.judge(a_day(wind=FURTHER), []).day[0])
    for threshold, findings in ((distance, 0), (np.nextafter(distance, 0), 1)):
        detector = DeviationDetector(CATALOGUE, REFERENCE, replace(LIMITS, level=np.full((3, 3), threshold)))
        assert len(found(a_day(wind=FURTHER), detector=detector)) == findings


def test_a_step_from_the_day_before_is_found_although_both_days_are_within_the_level() -> None:
    """0.45 above training and 0.45 below it: 0.9 from each other."""
    back = FAR[::-1]
    assert found(a_day(wind=FAR)) == found(a_day(wind=back)) == []
    loose = DeviationDetector(CATALOGUE, REFERENCE, replace(LIMITS, tails=np.full(3, np.inf)))
    [finding] = loose.judge(a_day(wind=FAR), [a_day(wind=back)]).findings
    assert (finding.name, finding.feature, finding.severity) == ("FeatureJump", "wind", "ticket")
    assert "0.90 standard deviations from the 24 hours before; the threshold is 0.40" in finding.detail
    assert found(a_day(wind=FAR), [a_day(wind=FAR)], loose) == []


def test_a_tail_that_vanishes_is_found_although_the_mean_hardly_moves() -> None:
    """The upper tenth is gone into the bin below: the log odds fall from ln(0.11 / 0.91) to ln(0.01 / 1.01)."""
    tailless = [*AS_TRAINED[:8], 200, 0]
    change = np.log(0.11 / 0.91) - np.log(0.01 / 1.01)
    judged = DETECTOR.judge(a_day(pressure=tailless), [a_day()])
    assert judged.ratios["tails"].tolist() == pytest.approx([0, change / 1.0, 0])
    [finding] = judged.findings
    assert (finding.name, finding.feature) == ("FeatureShape", "pressure")
    assert f"changed {np.exp(change):.1f} times" in finding.detail
    assert "the threshold is 2.7 times" in finding.detail


def test_a_week_and_four_weeks_have_thresholds_of_their_own_and_are_settled_tickets() -> None:
    """0.45 passes 0.4 and 0.3, and not the day's 0.5."""
    week, month = [a_day(wind=FAR)] * 6, [a_day(wind=FAR)] * (MONTH - 1)
    assert found(a_day(wind=FAR), week[1:]) == []
    [finding] = DETECTOR.judge(a_day(wind=FAR), week).findings
    assert (finding.name, finding.severity, finding.affected) == ("FeatureDrift", "ticket", None)
    assert finding.detail.startswith("wind: the last 7 days are 0.45 standard deviations from training")
    loose = DeviationDetector(CATALOGUE, REFERENCE, replace(LIMITS, level=np.array([[9.0] * 3, [9.0] * 3, [0.3] * 3])))
    assert found(a_day(wind=FAR), month[1:], loose) == []
    assert found(a_day(wind=FAR), month, loose) == [("FeatureDrift", "wind")]


def test_a_score_that_drifts_is_a_ticket_about_the_predictions() -> None:
    [finding] = DETECTOR.judge(a_day(score=FURTHER), []).findings
    assert (finding.name, finding.severity, finding.feature) == ("PredictionDrift", "ticket", None)


def test_days_that_cancel_out_are_no_drift() -> None:
    days = [a_day(wind=[150, 100, 50, *[100] * 7]), a_day(wind=[50, 100, 150, *[100] * 7])] * (MONTH // 2)
    assert DETECTOR.judge(days[0], days[1:]).month.tolist() == pytest.approx([0, 0, 0])


def test_a_distance_is_of_300_predictions_in_17_hours_or_more() -> None:
    few = [30] * BINS
    for day, judged in (
        (a_day(few, few, few), True),
        (a_day(few, few, few, rows=299), False),
        (a_day(hours=WATCHED_HOURS), True),
        (a_day(hours=WATCHED_HOURS - 1), False),
    ):
        assert np.isfinite(DETECTOR.judge(day, []).day).tolist() == [judged] * 3
        assert np.isfinite(DETECTOR.judge(a_day(), [day]).ratios["step"]).tolist() == [judged] * 3


def test_fewer_predictions_than_training_had_are_allowed_more() -> None:
    """3 / sqrt(400) - 3 / sqrt(1000) = 0.055 more than 0.5."""
    some = [40] * BINS
    allowed = 0.5 + 3 / 20 - 3 / np.sqrt(1000)
    level = 0.85
    ratio = DETECTOR.judge(a_day([120, *[40] * 7, 0, 0], some, some), []).ratios["level_1d"][0]
    assert ratio == pytest.approx(level / allowed)


@pytest.mark.parametrize(
    ("share", "alert", "below", "above"),
    [
        ("impossible", "FeatureOutOfRange", 5, 6),
        ("missing", "FeatureMissing", 20, 21),
        ("stale", "FeatureValuesStale", 30, 31),
    ],
)
def test_a_share_beyond_its_threshold_is_a_finding(share: str, alert: str, below: int, above: int) -> None:
    shares = {share: (10 * above, 10 * below)}
    [finding] = DETECTOR.judge(a_day(**shares), []).findings  # type: ignore[arg-type]
    assert (finding.name, finding.feature, finding.affected) == (alert, "wind", above / 100)


def test_a_share_of_few_predictions_is_allowed_more() -> None:
    """Of 100, a fifth may be missing and 3 sqrt(0.2 x 0.8) (1 / sqrt(100) - 1 / sqrt(1000)) = 8.2 % more."""
    assert found(a_day(rows=100, missing=(28, 0))) == []
    assert found(a_day(rows=100, missing=(29, 0))) == [("FeatureMissing", "wind")]


def test_what_is_impossible_is_said_with_the_range() -> None:
    [finding] = DETECTOR.judge(a_day(impossible=(60, 0)), []).findings
    assert finding.detail == (
        "6% of the last 24 hours' wind is outside 0 to 150 mph, which is impossible. Ask weather."
    )


def test_a_share_is_of_50_predictions_or_more() -> None:
    assert found(a_day(rows=49, impossible=(49, 0), hours=1)) == []
    assert found(a_day(rows=50, impossible=(50, 0), hours=1)) == [("FeatureOutOfRange", "wind")]


def test_a_value_that_stands_still_is_found_and_still_predictions_are_a_page() -> None:
    assert found(a_day(still=(12, 12, 12))) == []
    wind, score = DETECTOR.judge(a_day(still=(13, 0, 13)), []).findings
    assert (wind.name, wind.feature, wind.severity) == ("FeatureFrozen", "wind", "ticket")
    assert wind.detail == "wind: has had one value for 13 hours; the threshold is 12. Ask weather."
    assert (score.name, score.severity) == ("PredictionFrozen", "page")


def test_standing_still_is_of_300_predictions_or_more() -> None:
    assert found(a_day(rows=299, still=(13, 0, 0))) == []
    assert found(a_day(rows=300, still=(13, 0, 0))) == [("FeatureFrozen", "wind")]


def test_a_feature_without_thresholds_raises_nothing() -> None:
    unknown = replace(
        LIMITS,
        level=np.full((3, 3), np.nan),
        step=np.full(3, np.nan),
        tails=np.full(3, np.nan),
        missing=np.full(3, np.nan),
        impossible=np.full(3, np.nan),
        stale=np.full(3, np.nan),
        still=np.full(3, np.nan),
    )
    day = a_day(FURTHER, FURTHER, FURTHER, impossible=(999, 999), missing=(999, 999), still=(99, 99, 99))
    assert found(day, [a_day()], DeviationDetector(CATALOGUE, REFERENCE, unknown)) == []


def test_everything_wrong_at_once_is_all_found() -> None:
    today = a_day(
        FURTHER, FURTHER, FURTHER, missing=(500, 500), impossible=(500, 500), stale=(500, 500), still=(99,) * 3
    )
    names = [(name, feature) for name, feature in found(today, [a_day()])]
    assert names == [
        *(("FeatureOutOfRange", name) for name in CATALOGUE.names),
        *(("FeatureMissing", name) for name in CATALOGUE.names),
        *(("FeatureValuesStale", name) for name in CATALOGUE.names),
        ("FeatureFrozen", "wind"),
        ("FeatureFrozen", "pressure"),
        ("PredictionFrozen", None),
        ("FeatureJump", "wind"),
        ("FeatureJump", "pressure"),
        ("PredictionJump", None),
        ("FeatureShape", "wind"),
        ("FeatureShape", "pressure"),
        ("PredictionShape", None),
        ("FeatureUnlikeTraining", "wind"),
        ("FeatureUnlikeTraining", "pressure"),
        ("PredictionDrift", None),
    ]
