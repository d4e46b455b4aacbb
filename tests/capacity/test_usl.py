"""The scalability law is found again from what it predicts, and Little's law holds in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labserver.capacity.usl import Law, fit, little
from labserver.errors import LabError

LEVELS = (1, 2, 4, 8, 16, 32, 64)

laws = st.builds(
    Law,
    rate=st.floats(1, 10_000),
    contention=st.floats(0, 0.9),
    coherency=st.just(0.0) | st.floats(1e-5, 0.05),
)


def throughputs(law: Law) -> np.ndarray:
    return np.array([law.throughput(users) for users in LEVELS])


@settings(deadline=None)
@given(laws)
def test_parameters_are_recovered(law: Law) -> None:
    found = fit(LEVELS, throughputs(law).tolist())
    assert found.rate == pytest.approx(law.rate, rel=0.01)
    assert found.contention == pytest.approx(law.contention, abs=0.01)
    assert found.coherency == pytest.approx(law.coherency, abs=5e-5, rel=0.01)


@settings(deadline=None)
@given(laws, st.integers(0, 1000))
def test_noise_of_two_per_cent_moves_the_curve_by_little_more(law: Law, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(0.98, 1.02, len(LEVELS))
    found = fit(LEVELS, (throughputs(law) * noise).tolist())
    assert min(found.contention, found.coherency, found.rate) >= 0
    assert throughputs(found) == pytest.approx(throughputs(law), rel=0.05)


def test_worked_out_by_hand() -> None:
    law = Law(rate=1000, contention=0.1, coherency=0.01)
    assert law.throughput(1) == 1000
    assert law.throughput(10) == pytest.approx(10_000 / (1 + 0.1 * 9 + 0.01 * 10 * 9))
    assert law.response_seconds(10) == pytest.approx(0.0028)


def test_peak_is_where_throughput_is_highest() -> None:
    law = Law(rate=1000, contention=0.1, coherency=0.01)  # sqrt(0.9 / 0.01) = 9.49
    assert law.peak_users == pytest.approx(9.4868, abs=1e-4)
    assert max(range(1, 40), key=law.throughput) in (9, 10)
    assert law.peak == pytest.approx(law.throughput(9.4868), rel=1e-6)


def test_without_coherency_there_is_a_ceiling_and_no_peak() -> None:
    law = Law(rate=1000, contention=0.25, coherency=0)
    assert law.peak_users == math.inf
    assert law.peak == 4000
    assert law.throughput(10_000) == pytest.approx(4000, rel=0.01)
    assert Law(1000, 0, 0).peak == math.inf


@settings(deadline=None)
@given(laws, st.integers(1, 500))
def test_littles_law_holds_for_the_response_time(law: Law, users: int) -> None:
    assert little(law.throughput(users), law.response_seconds(users)) == pytest.approx(users)
    assert law.response_seconds(users + 1) >= law.response_seconds(users) * (1 - 1e-12)


def test_two_levels_are_too_few() -> None:
    with pytest.raises(LabError, match="three concurrencies"):
        fit([1, 2, 2], [10, 20, 20])
    with pytest.raises(LabError, match="nothing was answered"):
        fit([1, 2, 4], [10, 0, 20])
