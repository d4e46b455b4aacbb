"""The exported model is scikit-learn's, on every flight that it was not trained on."""

from __future__ import annotations

import pickle

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_export import plain
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.features.signature import Signature
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor
from labserver.pipeline.export import (
    TOLERANCE,
    at_thresholds,
    check_equal,
    check_export,
    comparisons,
    export,
    round_down,
)
from labserver.settings import Settings

LARGE = 1e38


@pytest.fixture(scope="module")
def held_out(
    warehouse: duckdb.DuckDBPyConnection, joined: NDArray[np.float32], catalogue: Catalogue
) -> NDArray[np.float32]:
    """Prepared features of all flights from September on."""
    later = warehouse.execute(
        "SELECT scheduled_departure >= TIMESTAMPTZ '2013-09-01 00:00:00-04' FROM flights ORDER BY flight_id"
    ).fetchall()
    return clean(joined[np.array(later)[:, 0]], catalogue)


@pytest.fixture(scope="module")
def model(settings: Settings) -> HistGradientBoostingClassifier:
    trained: HistGradientBoostingClassifier = pickle.loads(settings.experiment.read_bytes())["model"]
    return trained


@pytest.fixture(scope="module")
def theirs(model: HistGradientBoostingClassifier, held_out: NDArray[np.float32]) -> NDArray[np.float64]:
    frame = pd.DataFrame(held_out, columns=model.feature_names_in_)
    probabilities: NDArray[np.float64] = model.predict_proba(frame)[:, 1]
    return probabilities


@given(st.floats(-LARGE, LARGE))
def test_a_rounded_threshold_is_the_greatest_float32_that_is_not_above_it(threshold: float) -> None:
    [rounded] = round_down(np.array([threshold]))
    assert rounded.dtype == np.float32
    assert float(rounded) <= threshold
    assert float(np.nextafter(rounded, np.float32(np.inf))) > threshold


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(-LARGE, LARGE))
def test_every_float32_compares_alike_with_a_threshold_and_with_it_rounded_down(value: float, threshold: float) -> None:
    [rounded] = round_down(np.array([threshold]))
    assert (value <= threshold) == (np.float32(value) <= rounded)


def test_on_every_held_out_flight_the_export_answers_and_decides_as_scikit_learn(
    bundle: Bundle, held_out: NDArray[np.float32], theirs: NDArray[np.float64]
) -> None:
    ours = OnnxPredictor(bundle.model).probabilities(held_out)
    assert len(ours) == len(theirs) > 100_000
    assert np.abs(ours - theirs).max() <= 1e-6
    assert np.array_equal(ours > 0.25, theirs > 0.25)
    assert check_equal(ours, theirs, 0.25) == bundle.manifest["largest_difference_from_scikit_learn"]


def test_the_export_is_the_same_bytes_every_time(model: HistGradientBoostingClassifier, bundle: Bundle) -> None:
    assert export(model, bundle.signature) == bundle.model


def test_the_build_finds_a_plain_export_at_the_thresholds_where_no_flight_of_the_year_shows_it(
    model: HistGradientBoostingClassifier, bundle: Bundle, held_out: NDArray[np.float32], theirs: NDArray[np.float64]
) -> None:
    flights = pd.DataFrame(held_out, columns=model.feature_names_in_)
    rounded = OnnxPredictor(plain(model, held_out.shape[1]))
    check_equal(rounded.probabilities(held_out), theirs, 0.25)
    with pytest.raises(LabError, match="The exported model differs from scikit-learn's"):
        check_export(model, rounded, flights, 0.25)
    largest = bundle.manifest["largest_difference_from_scikit_learn"]
    assert check_export(model, OnnxPredictor(bundle.model), flights, 0.25) == largest


def test_each_row_is_put_once_at_each_threshold(
    model: HistGradientBoostingClassifier, held_out: NDArray[np.float32]
) -> None:
    places = {(int(n["feature_idx"]), float(np.float32(n["num_threshold"]))) for n in comparisons(model)}
    rows = held_out[:2]
    edges = at_thresholds(model, rows)
    assert edges.dtype == np.float32
    assert len(edges) % len(rows) == 0
    for row, around in zip(rows, np.split(edges, len(rows)), strict=True):
        assert ((around != row).sum(axis=1) <= 1).all()
        assert {(f, float(edge[f])) for edge in around for f in np.flatnonzero(edge != row)} <= places
        assert all((around[:, feature] == np.float32(value)).any() for feature, value in places)


def test_a_value_that_float32_puts_on_the_wrong_side_of_a_threshold_goes_the_right_way() -> None:
    # The only split is at 1.1, half way between 1.0 and 1.2; as a float32, 1.1 is more than 1.1.
    data = np.repeat([1.0, 1.2], 200)[:, np.newaxis]
    stump = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2).fit(data, data[:, 0] > 1.1)
    [threshold] = comparisons(stump)["num_threshold"]
    between = np.array([[np.float32(threshold)]], np.float32)
    assert float(between[0, 0]) > threshold
    expected = stump.predict_proba(between)[0, 1]
    assert OnnxPredictor(export(stump, Signature((("a", "1"),)))).probabilities(between)[0] == pytest.approx(
        expected, abs=TOLERANCE
    )
    assert OnnxPredictor(plain(stump, 1)).probabilities(between)[0] != pytest.approx(expected, abs=0.01)


def test_one_probability_that_differs_stops_the_build() -> None:
    theirs = np.array([0.1, 0.2, 0.9])
    assert check_equal(theirs.astype(np.float32), theirs, 0.25) < 1e-7
    with pytest.raises(LabError, match=r"on 1 of 3 flights \(by up to 0.01\) and decides 0 differently"):
        check_equal(np.array([0.1, 0.21, 0.9], np.float32), theirs, 0.25)


def test_one_decision_that_differs_stops_the_build_however_small_the_difference() -> None:
    theirs = np.array([0.1, 0.25, 0.9])
    ours = np.array([0.1, np.nextafter(np.float32(0.25), np.float32(1)), 0.9], np.float32)
    with pytest.raises(LabError, match=r"on 0 of 3 flights .* and decides 1 differently"):
        check_equal(ours, theirs, 0.25)
