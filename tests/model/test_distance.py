"""Distances by hand, and against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from labserver.model.distance import log_odds, wasserstein

COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)
MEANS = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=4, max_size=4)


def distance(one: list[int], means: list[float], other: list[int], others: list[float]) -> float:
    counts, more = np.array(one), np.array(other)
    return float(wasserstein(counts, counts * np.array(means), more, more * np.array(others)))


def test_everything_moved_by_three_is_three_away() -> None:
    assert distance([1, 2, 3, 4], [0, 1, 2, 3], [1, 2, 3, 4], [3, 4, 5, 6]) == pytest.approx(3)


def test_a_quarter_moved_by_eight_is_two_away() -> None:
    assert distance([3, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 1], [0, 0, 0, 8]) == pytest.approx(2)


def test_an_outer_bin_does_not_saturate() -> None:
    far = [distance([1, 0, 0, 1], [0, 0, 0, 10], [1, 0, 0, 1], [0, 0, 0, value]) for value in (20, 200, 2000)]
    assert far == pytest.approx([5, 95, 995])


def test_shares_are_as_good_as_counts() -> None:
    shares, means = np.array([0.25, 0.75]), np.array([2.0, 6.0])
    counts = np.array([10, 30])
    assert wasserstein(counts, counts * means, shares, shares * means) == pytest.approx(0)


def test_of_nothing_there_is_no_distance() -> None:
    assert distance([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 2, 3, 4]) == 0


@given(COUNTS, MEANS, COUNTS, MEANS)
def test_it_is_the_distance_of_scipy(one: list[int], means: list[float], other: list[int], others: list[float]) -> None:
    expected = wasserstein_distance(means, others, one, other)
    assert distance(one, means, other, others) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, MEANS, COUNTS, MEANS)
def test_it_is_the_same_both_ways(one: list[int], means: list[float], other: list[int], others: list[float]) -> None:
    assert distance(one, means, other, others) == pytest.approx(distance(other, others, one, means), abs=1e-9)


def test_log_odds_are_finite_at_the_ends_and_0_in_the_middle() -> None:
    assert log_odds(np.array([0, 0.5, 1])).tolist() == pytest.approx([-np.log(101), 0, np.log(101)])
