"""The yardstick of drift: PSI has the properties that make it one, and the worst days are really the worst."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.bundle import Bundle
from labserver.model.reference import BINS, FLOOR, MONTH, Reference, as_received, histogram, psi, reference_statistics

COUNTS = arrays(np.int64, BINS, elements=st.integers(0, 10_000)).filter(lambda counts: counts.sum() > 0)


def shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = counts / counts.sum()
    return result


@given(COUNTS, COUNTS)
def test_psi_is_never_negative_and_the_same_both_ways(one: NDArray[np.int64], other: NDArray[np.int64]) -> None:
    there, back = psi(shares(one), shares(other)), psi(shares(other), shares(one))
    assert there >= 0
    assert there == pytest.approx(back)


@given(COUNTS, st.integers(1, 50))
def test_psi_is_zero_for_equal_shares_however_many_rows(counts: NDArray[np.int64], times: int) -> None:
    assert psi(shares(counts), shares(counts * times)) == pytest.approx(0, abs=1e-12)


def test_psi_by_hand() -> None:
    assert psi(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.25 * np.log(2) - 0.25 * np.log(2 / 3))


def test_an_empty_bin_makes_it_large_and_not_infinite() -> None:
    assert 1 < psi(np.array([1.0, 0.0]), np.array([0.0, 1.0])) < 2 * np.log(1 / FLOOR)


@given(arrays(np.float32, st.integers(20, 200), elements=st.floats(-5, 5, width=32)))
def test_values_are_counted_into_the_bins_they_were_cut_from(values: NDArray[np.float32]) -> None:
    """Whatever ties there are: the same rule made the shares."""
    made = histogram(values)
    reference = Reference.read({"features": {"x": made}, "score": made}, ["x"])
    counts = reference.count(np.column_stack([values, values]))
    assert counts.sum(axis=1).tolist() == [len(values)] * 2
    assert counts[0, : len(made["shares"])] / len(values) == pytest.approx(np.array(made["shares"]), abs=1e-6)
    assert reference.psi(counts) == pytest.approx([0, 0], abs=1e-3)


def test_the_worst_day_and_month_are_those_of_the_data(catalogue: Catalogue) -> None:
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(60), 50)
    raw = np.tile(np.array([f.trained.typical for f in catalogue.features if f.trained], np.float32), (3000, 1))
    raw[:, 2] = rng.normal(0, 1, 3000)
    raw[days == 33, 2] += 5  # one day in another place
    raw[days == 34, 2] = np.nan
    made = reference_statistics(raw, as_received(raw, catalogue), raw[:, 2] * 0 + 0.5, days, catalogue)
    column = made["features"][catalogue.names[2]]
    reference = Reference.read(made, catalogue.names)
    matrix = np.column_stack([as_received(raw, catalogue), np.full(3000, 0.5, np.float32)])
    by_day = [reference.psi(reference.count(matrix[days == day]))[2] for day in range(60)]
    assert column["worst_day"] == pytest.approx(max(by_day), abs=1e-3)
    assert np.argmax(by_day) in {33, 34}
    by_month = [
        reference.psi(reference.count(matrix[(days >= day) & (days < day + MONTH)]))[2] for day in range(60 - MONTH + 1)
    ]
    assert column["worst_month"] == pytest.approx(max(by_month), abs=1e-3)
    assert column["worst_month"] < column["worst_day"]
    assert 0 < column["usual_missing"] < 1


def test_a_bundle_says_how_far_its_training_days_lie(bundle: Bundle, catalogue: Catalogue) -> None:
    reference = Reference.read(bundle.reference, catalogue.names)
    assert np.isfinite(reference.worst_day).all(), "this bundle is older than its code: run `labserver build`"
    assert (reference.worst_month < reference.worst_day).all()
