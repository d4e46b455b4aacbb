"""Impossible values never reach the model, unseen ones are clipped, the rest is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from labserver.errors import LabError, Refused
from labserver.features.catalogue import Catalogue, Feature, Group, Range, Trained
from labserver.features.definitions import CATALOGUE
from labserver.features.ranges import CatalogueRanges, TypicalValues, adjustments

WIDTH = len(CATALOGUE.names)
anything = st.floats(width=32, allow_nan=True, allow_infinity=True)
shares = hnp.arrays(np.float64, (3, WIDTH), elements=st.floats(0, 1))


def matrices(values: st.SearchStrategy[float] = anything) -> st.SearchStrategy[NDArray[np.float32]]:
    return st.integers(1, 4).flatmap(lambda rows: hnp.arrays(np.float32, (rows, WIDTH), elements=values))


def column(catalogue: Catalogue, name: str, value: float) -> NDArray[np.float32]:
    """A typical row in which one value is another."""
    row = np.array([[f.trained.typical for f in catalogue.features if f.trained]], np.float32)
    row[0, catalogue.names.index(name)] = value
    return row


def bounds(catalogue: Catalogue) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    seen = [f.trained.seen for f in catalogue.features if f.trained]
    return np.array([s.low for s in seen], np.float32), np.array([s.high for s in seen], np.float32)


@given(matrix=matrices())
def test_after_ranges_a_value_is_missing_or_one_that_training_saw(
    catalogue: Catalogue, matrix: NDArray[np.float32]
) -> None:
    low, high = bounds(catalogue)
    received = matrix.copy()
    CatalogueRanges(catalogue).apply(matrix)
    assert (np.isnan(matrix) | ((matrix >= low) & (matrix <= high))).all()
    assert np.isnan(matrix[np.isnan(received)]).all()


@given(share=shares)
def test_values_that_training_saw_are_left_alone_to_the_bit(catalogue: Catalogue, share: NDArray[np.float64]) -> None:
    low, high = bounds(catalogue)
    matrix = np.clip((low + share * (high - low)).astype(np.float32), low, high)
    received = matrix.copy()
    CatalogueRanges(catalogue).apply(matrix)
    TypicalValues(catalogue).apply(matrix)
    assert matrix.tobytes() == received.tobytes()


@given(matrix=matrices())
def test_one_row_and_a_matrix_give_the_same_bits(catalogue: Catalogue, matrix: NDArray[np.float32]) -> None:
    ranges, completion = CatalogueRanges(catalogue), TypicalValues(catalogue)
    rows = [row.copy()[np.newaxis] for row in matrix]
    for each in (matrix, *rows):
        ranges.apply(each)
        completion.apply(each)
    assert np.concatenate(rows).tobytes() == matrix.tobytes()


@given(matrix=matrices())
def test_preparing_twice_is_preparing_once(catalogue: Catalogue, matrix: NDArray[np.float32]) -> None:
    ranges, completion = CatalogueRanges(catalogue), TypicalValues(catalogue)
    ranges.apply(matrix)
    completion.apply(matrix)
    once = matrix.copy()
    ranges.apply(matrix)
    completion.apply(matrix)
    assert matrix.tobytes() == once.tobytes()


@pytest.mark.parametrize("feature", CATALOGUE.features, ids=lambda feature: feature.name)
def test_an_impossible_value_becomes_the_training_median(catalogue: Catalogue, feature: Feature) -> None:
    position = catalogue.names.index(feature.name)
    typical = catalogue[feature.name].trained
    assert typical is not None
    for impossible in (
        np.nextafter(np.float32(feature.possible.low), np.float32(-np.inf)),
        np.nextafter(np.float32(feature.possible.high), np.float32(np.inf)),
        np.float32(np.inf),
        np.float32(-np.inf),
    ):
        row = column(catalogue, feature.name, float(impossible))
        CatalogueRanges(catalogue).apply(row)
        assert np.isnan(row[0, position])
        assert np.isnan(row).sum() == 1
        TypicalValues(catalogue).apply(row)
        assert row[0, position] == np.float32(typical.typical)


def test_a_wind_of_1048_mph_is_imputed_and_one_of_140_clipped_to_the_strongest_seen(catalogue: Catalogue) -> None:
    seen = catalogue["wind_speed"].trained
    assert seen is not None
    assert seen.seen.high < 60
    for wind, action, used in ((1048.36, "imputed", seen.typical), (140.0, "clipped", seen.seen.high)):
        received = column(catalogue, "wind_speed", wind)
        row = received.copy()
        CatalogueRanges(catalogue).apply(row)
        TypicalValues(catalogue).apply(row)
        [change] = adjustments(catalogue, received[0], row[0])
        assert (change.feature, change.action) == ("wind_speed", action)
        assert change.received == float(np.float32(wind))
        assert change.used == float(np.float32(used))


@given(matrix=matrices())
def test_adjustments_list_exactly_the_values_that_changed(catalogue: Catalogue, matrix: NDArray[np.float32]) -> None:
    received = matrix[0].copy()
    row = matrix[:1].copy()
    CatalogueRanges(catalogue).apply(row)
    TypicalValues(catalogue).apply(row)
    listed = {a.feature: a for a in adjustments(catalogue, received, row[0])}
    for position, feature in enumerate(catalogue.features):
        was, now = float(received[position]), float(row[0, position])
        assert (feature.name in listed) == (was != now)
        if feature.name in listed:
            lost = np.isnan(was) or was < feature.possible.low or was > feature.possible.high
            assert listed[feature.name].action == ("imputed" if lost else "clipped")
            assert listed[feature.name].used == now
            assert listed[feature.name].received == (None if np.isnan(was) else was)


@pytest.mark.parametrize("value", [150.0001, -0.5, 1048.36, float("nan"), float("inf"), float("-inf")])
def test_an_impossible_override_is_refused_with_the_field_and_what_is_allowed(
    catalogue: Catalogue, value: float
) -> None:
    with pytest.raises(Refused) as caught:
        CatalogueRanges(catalogue).check_override("wind_speed", value)
    assert caught.value.field == "overrides.wind_speed"
    assert caught.value.detail == f"{value:g} mph cannot be"
    assert caught.value.allowed == "0 to 150 mph"


@pytest.mark.parametrize("value", [0.0, 75.0, 150.0])
def test_a_possible_override_is_accepted_up_to_the_ends_of_the_range(catalogue: Catalogue, value: float) -> None:
    CatalogueRanges(catalogue).check_override("wind_speed", value)


@given(matrix=matrices())
def test_after_ranges_and_completion_every_value_is_finite(catalogue: Catalogue, matrix: NDArray[np.float32]) -> None:
    CatalogueRanges(catalogue).apply(matrix)
    TypicalValues(catalogue).apply(matrix)
    assert np.isfinite(matrix).all()


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((1, WIDTH), np.float64),
        np.zeros((1, WIDTH - 1), np.float32),
        np.zeros(WIDTH, np.float32),
        np.zeros((1, 1, WIDTH), np.float32),
    ],
    ids=["float64", "a column too few", "no rows", "three axes"],
)
def test_completion_refuses_a_matrix_of_another_dtype_or_shape(catalogue: Catalogue, matrix: NDArray[Any]) -> None:
    with pytest.raises(LabError, match=rf"must be float32 of shape \(rows, {WIDTH}\); this one is {matrix.dtype}"):
        TypicalValues(catalogue).apply(matrix)


def test_completion_alone_names_the_feature_that_is_infinite(catalogue: Catalogue) -> None:
    with pytest.raises(LabError, match=r"^Not finite: pressure\.$"):
        TypicalValues(catalogue).apply(column(catalogue, "pressure", float("inf")))


def test_completion_alone_names_every_feature_that_is_infinite(catalogue: Catalogue) -> None:
    row = column(catalogue, "pressure", float("inf"))
    row[0, catalogue.names.index("wind_speed")] = float("-inf")
    with pytest.raises(LabError, match=r"^Not finite: wind_speed, pressure\.$"):
        TypicalValues(catalogue).apply(row)


def test_completion_without_training_names_the_features_and_says_what_to_run() -> None:
    with pytest.raises(LabError, match=rf"saw of {', '.join(CATALOGUE.names[2:])}\. Run `labserver build`"):
        TypicalValues(CATALOGUE)


WIND = Feature(
    name="wind",
    unit="mph",
    meaning="Speed of the wind",
    owner="weather",
    possible=Range(0, 150),
    trained=Trained(Range(1, 50), 10),
)


def alone(feature: Feature) -> Catalogue:
    group = Group(
        name="weather", kind="weather", entity=("origin",), source="weather", sql="SELECT 1", features=(feature,)
    )
    return Catalogue((group,))


def after_ranges(feature: Feature, *values: float) -> list[float]:
    matrix = np.array(values, np.float32)[:, np.newaxis]
    CatalogueRanges(alone(feature)).apply(matrix)
    return [float(value) for value in matrix[:, 0]]


GAP = pytest.approx(float("nan"), nan_ok=True)


def test_each_policy_of_a_feature_by_hand() -> None:
    """Wind is possible from 0 to 150 and was seen from 1 to 50."""
    values = (-1, 0, 1, 20, 50, 120, 150, 160)
    clip, keep = replace(WIND, impossible="clip"), replace(WIND, unseen="keep")
    assert after_ranges(WIND, *values) == [GAP, 1, 1, 20, 50, 50, 50, GAP]
    assert after_ranges(clip, *values) == [1, 1, 1, 20, 50, 50, 50, 50]
    assert after_ranges(keep, *values) == [GAP, 0, 1, 20, 50, 120, 150, GAP]


def test_without_training_only_what_is_possible_counts() -> None:
    assert after_ranges(replace(WIND, trained=None), -1, 0, 20, 150, 160) == [GAP, 0, 20, 150, GAP]


def test_the_ends_of_a_range_are_possible_although_float32_has_neighbours_of_them_only() -> None:
    """float32 rounds 0.7 down and 1.1 up, so both would lie outside a range that is compared in float64."""
    low, high = float(np.float32(0.7)), float(np.float32(1.1))
    assert low < 0.7 < 1.1 < high
    assert after_ranges(replace(WIND, possible=Range(0.7, 1.1), trained=None), low, high, 2) == [low, high, GAP]


@pytest.mark.parametrize(("policy", "used", "action"), [("impute", 10, "imputed"), ("clip", 50, "clipped")])
def test_an_impossible_value_is_reported_as_what_its_policy_made_of_it(policy: str, used: float, action: str) -> None:
    changed = alone(replace(WIND, impossible=policy))  # type: ignore[arg-type]
    [change] = adjustments(changed, np.array([160], np.float32), np.array([used], np.float32))
    assert (change.feature, change.action, change.received, change.used) == ("wind", action, 160, used)
