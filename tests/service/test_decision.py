"""Warn where staying silent is expected to cost more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labserver.service.decision import ExpectedCost
from labserver.settings import Settings

costs = st.floats(0.01, 1000)
probabilities = st.floats(0, 1)


def test_when_a_missed_delay_costs_three_false_alarms_the_warning_starts_above_one_quarter() -> None:
    policy = ExpectedCost(false_alarm=1, missed_delay=3)
    assert policy.threshold == 0.25
    assert [policy.decide(p) for p in (0.0, 0.25, 0.2500001, 1.0)] == ["no_warning", "no_warning", "warn", "warn"]


def test_the_costs_come_from_the_settings() -> None:
    assert ExpectedCost.from_settings(Settings()).threshold == 0.25
    assert ExpectedCost.from_settings(Settings(cost_false_alarm=2, cost_missed_delay=2)).threshold == 0.5


@given(costs, costs, probabilities, probabilities)
def test_a_flight_more_likely_to_be_late_is_never_warned_of_less(a: float, b: float, p: float, q: float) -> None:
    policy = ExpectedCost(a, b)
    low, high = sorted((p, q))
    assert (policy.decide(low) == "warn") <= (policy.decide(high) == "warn")


@given(costs, costs, st.floats(1, 100), probabilities)
def test_a_dearer_missed_delay_never_takes_a_warning_back(a: float, b: float, factor: float, p: float) -> None:
    assert (ExpectedCost(a, b).decide(p) == "warn") <= (ExpectedCost(a, b * factor).decide(p) == "warn")


@given(costs, costs, probabilities)
def test_the_decision_is_the_cheaper_one(a: float, b: float, p: float) -> None:
    silence, warning = p * b, (1 - p) * a
    if silence != pytest.approx(warning, rel=1e-9):
        assert ExpectedCost(a, b).decide(p) == ("warn" if silence > warning else "no_warning")
