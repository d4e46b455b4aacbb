from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.model.bundle import Bundle
from labserver.model.export import check_equal, round_down
from labserver.model.metrics import expected_calibration_error
from labserver.model.predictor import OnnxPredictor


@given(st.floats(-1e30, 1e30))
def test_a_threshold_is_rounded_to_the_float32_below(threshold: float) -> None:
    [rounded] = round_down(np.array([threshold]))
    assert float(rounded) <= threshold < float(np.nextafter(rounded, np.float32(np.inf)))


def test_every_held_out_flight_gets_scikit_learns_answer(
    home: Path, bundle: Bundle, catalogue: Catalogue, joined: NDArray[np.float32]
) -> None:
    model = pickle.loads((home / "teaching/model.pkl").read_bytes())
    used = joined[-110_000:].copy()
    CatalogueRanges(catalogue).apply(used)
    TypicalValues(catalogue).apply(used)
    ours = OnnxPredictor(bundle.model).probabilities(used)
    assert check_equal(ours, model.predict_proba(used)[:, 1], 0.25) < 1e-6


def test_a_different_answer_stops_the_build() -> None:
    ours = np.array([0.1, 0.3], np.float32)
    with pytest.raises(LabError, match="differs from scikit-learn's on 1 of 2"):
        check_equal(ours, np.array([0.1, 0.31]), 0.25)
    with pytest.raises(LabError, match="decides 1 differently"):
        check_equal(np.array([0.25], np.float32), np.array([0.2500001]), 0.25)


def test_calibration_error_by_hand() -> None:
    late = np.array([False, True, True, True])
    # Two bins: predicted 0.2 against 0.5 observed, predicted 0.9 against 1.0: (2 * 0.3 + 2 * 0.1) / 4
    assert expected_calibration_error(late, np.array([0.1, 0.3, 0.8, 1.0]), bins=2) == pytest.approx(0.2)
