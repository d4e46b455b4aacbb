"""The checks of lessons 7 and 9 in cases beyond wrong answers: a service that is late, no promtool."""

from __future__ import annotations

from datetime import date

import pytest

from exercises.checks.alert_rules import fired
from exercises.checks.days import FlightDays
from exercises.checks.lesson_07 import in_a_flood
from exercises.checks.lesson_09 import FIRST_DAY, incidents, quiet
from exercises.checks.lesson_09_rule import formed
from labserver.capacity.load import Answers
from labserver.features.catalogue import Catalogue
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor
from labserver.model.reference import Reference
from labserver.monitor.alarm_thresholds import AlarmThresholds
from labserver.monitor.drift import DeviationDetector
from labserver.parts import Context
from labserver.settings import Settings

ALONE = Answers(15, latencies=[10.0] * 30)
GOOD = {"latencies": [40.0] * 600, "shed": 600}
SHARE = "sum by (feature) (increase(feature_clipped_total[30m]))"
ENOUGH = "/ on () group_left () (sum(increase(predictions_total[30m])) > 50)"


@pytest.mark.parametrize(
    ("flood", "mistakes"),
    [
        (GOOD, ["", "", ""]),
        (GOOD | {"shed": 0, "unanswered": 600}, ["no-limit", "", ""]),
        (GOOD | {"latencies": [2000.0] * 600}, ["", "late-in-a-flood", ""]),
        (GOOD | {"latencies": [40.0] * 30}, ["", "", "works-no-more"]),
    ],
)
def test_a_flood_goes_wrong_in_three_ways(flood: dict[str, object], mistakes: list[str]) -> None:
    found = list(in_a_flood(ALONE, 200.0, Answers(400, **flood), limit=4))  # type: ignore[arg-type]
    assert [one.mistake for one in found] == mistakes
    assert [one.passed for one in found] == [not mistake for mistake in mistakes]


@pytest.mark.parametrize(
    ("expression", "absent"),
    [
        (f"{SHARE} {ENOUGH} > 0.1", ""),
        (f"{SHARE} {ENOUGH} > 0.4", "a limit of a tenth"),
        (f"{SHARE} / on () group_left () sum(rate(predictions_total[30m])) > 0.1", "a minimum of 50 predictions"),
        (f"sum by (feature) (feature_clipped_total) {ENOUGH} > 0.1", "an increase or rate of feature_clipped_total"),
    ],
)
def test_without_promtool_the_form_of_a_rule_is_read(expression: str, absent: str) -> None:
    found = formed(expression)
    assert found.passed == (not absent)
    assert absent in found.expected


def test_what_promtool_saw_is_said_in_words() -> None:
    some = (
        'exp:[], got:[ 0: Labels:{alertname="A", feature="humidity"}, 1: Labels:{alertname="A", feature="pressure"} ]'
    )
    assert fired(some) == "firing for humidity, pressure"
    assert fired('exp:[], got:[ 0: Labels:{alertname="A"} ]').endswith("for which feature")
    assert fired('exp:[ 0: Labels:{feature="x"} ], got:[]') == "silence"


@pytest.fixture(scope="module")
def spring(settings: Settings, bundle: Bundle, catalogue: Catalogue) -> FlightDays:
    context = Context(settings, bundle, catalogue)
    return FlightDays.read(settings, context, OnnxPredictor(bundle.model), FIRST_DAY, date(2013, 5, 1))


def test_the_shipped_detector_does_not_solve_lesson_9(spring: FlightDays, bundle: Bundle, catalogue: Catalogue) -> None:
    statistics, names = bundle.reference, catalogue.names
    limits = AlarmThresholds.read(statistics, names)
    shipped = DeviationDetector(catalogue, Reference.read(statistics, names), limits)
    assert [found.mistake for found in incidents(shipped, spring) if not found.passed] == ["mean-only"]
    assert all(found.passed for found in quiet(shipped, spring))
