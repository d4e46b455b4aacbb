"""The measures, on examples small enough to work out by hand, and the shipped model's own."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from labserver.errors import LabError
from labserver.model.bundle import Bundle
from labserver.model.calibration import expected_calibration_error
from labserver.pipeline.fit import check_baselines
from labserver.pipeline.scores import Scores, calibration_table, scores

MEASURES = ("auc", "log_loss", "brier", "calibration_error")


def test_the_calibration_error_is_the_mean_gap_of_bins_with_equally_many_flights() -> None:
    # Two bins: (0.1, 0.2) predict 0.15 and see 0.5; (0.8, 0.9) predict 0.85 and see 1. Mean gap (0.35 + 0.15) / 2.
    late = np.array([True, False, True, True])
    probability = np.array([0.8, 0.1, 0.2, 0.9])
    assert expected_calibration_error(late, probability, bins=2) == pytest.approx(0.25)


def test_bins_count_by_their_flights_when_they_are_not_equally_many() -> None:
    # Bins of two and one: gaps 0.5 (two flights) and 0.1 (one): (2 * 0.5 + 0.1) / 3.
    late = np.array([False, False, True])
    assert expected_calibration_error(late, np.array([0.4, 0.6, 0.9]), bins=2) == pytest.approx(1.1 / 3)


def test_more_bins_than_flights_leave_the_gap_of_each_flight() -> None:
    assert expected_calibration_error(np.array([True, False]), np.array([0.9, 0.3])) == pytest.approx(0.2)


def test_all_four_scores_of_four_flights_are_those_worked_out_by_hand() -> None:
    late = np.array([False, False, True, True])
    found = scores(late, np.array([0.1, 0.4, 0.35, 0.8]))
    assert found["auc"] == 0.75  # three of the four pairs are in the right order
    assert found["log_loss"] == pytest.approx(-(log(0.9) + log(0.6) + log(0.35) + log(0.8)) / 4, abs=1e-5)
    assert found["brier"] == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4, abs=1e-5)
    assert found["calibration_error"] == pytest.approx((0.1 + 0.4 + 0.65 + 0.2) / 4, abs=1e-5)


def test_the_calibration_table_has_a_tenth_of_the_flights_a_row_from_safest_to_riskiest() -> None:
    late = np.arange(20) >= 18
    table = calibration_table(late, np.linspace(0.95, 0.0, 20)[::-1])
    assert [row["flights"] for row in table] == [2] * 10
    assert [row["observed"] for row in table] == [0.0] * 9 + [1.0]
    assert table[0]["predicted"] == pytest.approx(0.025)
    assert table[-1]["predicted"] == pytest.approx(0.925)


@pytest.mark.parametrize("baseline", ["logistic_regression", "base_rate"])
def test_the_shipped_model_beats_both_baselines_by_every_measure(bundle: Bundle, baseline: str) -> None:
    ours, theirs = bundle.manifest["metrics"]["model"], bundle.manifest["metrics"][baseline]
    assert ours["auc"] > theirs["auc"]
    for measure in ("log_loss", "brier", "calibration_error"):
        assert ours[measure] < theirs[measure], measure


def test_the_shipped_models_auc_is_neither_poor_nor_too_good_to_be_true(bundle: Bundle) -> None:
    assert 0.71 <= bundle.manifest["metrics"]["model"]["auc"] <= 0.76


@pytest.mark.parametrize("baseline", ["logistic_regression", "base_rate"])
@pytest.mark.parametrize("measure", MEASURES)
def test_a_model_that_a_baseline_equals_by_one_measure_is_not_shipped(measure: str, baseline: str) -> None:
    ours = Scores(auc=0.74, log_loss=0.4, brier=0.15, calibration_error=0.01)
    worse = Scores(auc=0.70, log_loss=0.5, brier=0.16, calibration_error=0.02)
    metrics = {"model": ours, "logistic_regression": worse, "base_rate": worse}
    check_baselines(metrics)
    metrics[baseline] = worse | {measure: ours[measure]}  # type: ignore[literal-required,assignment]
    with pytest.raises(LabError, match=f"The model's {measure} .* does not beat {baseline}'s"):
        check_baselines(metrics)
