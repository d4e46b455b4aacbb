"""Lesson 9's alert rule: checks its form, and its alerts on made-up series."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from exercises.checks import alert_rules as rules
from exercises.checks.alert_rules import Case
from exercises.checks.attempt import Attempt
from exercises.checks.result import CheckFinding

ALERT_NAME = "FeatureClipped"
CLIPPED_SERIES = 'feature_clipped_total{{feature="{}"}}'
WARN_SERIES, NO_WARNING_SERIES = 'predictions_total{decision="warn"}', 'predictions_total{decision="no_warning"}'
USUAL_TRAFFIC = {WARN_SERIES: "0+2x300", NO_WARNING_SERIES: "0+18x300"}
DELAY_CLIPPED, HUMIDITY_CLIPPED = CLIPPED_SERIES.format("origin_delay"), CLIPPED_SERIES.format("humidity")
CASES = (
    Case(
        "One value in twenty beyond training is no alert, however many there have been.",
        {**USUAL_TRAFFIC, DELAY_CLIPPED: "0+1x300", HUMIDITY_CLIPPED: "0+1x300"},
        250,
        (),
        "20 predictions a minute, 1 value of origin_delay clipped, for four hours",
        "A count grows with traffic and with time. Judge a share, or the alert fires on the first busy day for good.",
        "count-not-share",
    ),
    Case(
        "What was clipped in the morning is no alert in the afternoon.",
        {**USUAL_TRAFFIC, DELAY_CLIPPED: "0+10x120 1200x180", HUMIDITY_CLIPPED: "0x300"},
        280,
        (),
        "half of origin_delay clipped for two hours, and none in the two and a half hours since",
        "A counter never falls: a share of totals remembers since the start. Look at its increase.",
        "counter-not-increase",
    ),
    Case(
        "Thirty predictions in half an hour are too few to judge.",
        {WARN_SERIES: "0+0x300", NO_WARNING_SERIES: "0+1x300", DELAY_CLIPPED: "0+1x300", HUMIDITY_CLIPPED: "0x300"},
        90,
        (),
        "1 prediction a minute, each with a clipped origin_delay",
        "At night a single plane in a storm is a third of all values, and wakes somebody for nothing.",
        "no-minimum-in-the-rule",
    ),
    Case(
        "Four minutes of it are no alert yet.",
        {**USUAL_TRAFFIC, DELAY_CLIPPED: "0x60 20+20x240", HUMIDITY_CLIPPED: "0x300"},
        64,
        (),
        "all of origin_delay clipped since four minutes ago",
        "What is over before somebody has found the laptop should not have called. `for` waits.",
        "no-for",
    ),
    Case(
        "A quarter of a feature's values beyond training is an alert, for this feature alone.",
        {**USUAL_TRAFFIC, DELAY_CLIPPED: "0+5x300", HUMIDITY_CLIPPED: "0+1x300"},
        80,
        ("origin_delay",),
        "20 predictions a minute; 5 values of origin_delay clipped, and 1 of humidity",
        "Both sides of a division must have the same labels, or be told which to use: else it is empty for good.",
        "never-fires",
    ),
)


def rule(attempt: Attempt) -> Iterator[CheckFinding]:
    """Findings on the file for Prometheus: its form, then its alerts."""
    text = attempt.named("RULE")
    try:
        [written] = [
            entry
            for group in yaml.safe_load(text)["groups"]
            for entry in group["rules"]
            if entry["alert"] == ALERT_NAME
        ]
        severity = written.get("labels", {}).get("severity")
        summary = written.get("annotations", {}).get("summary", "")
        expression = written["expr"]
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        yield CheckFinding(
            "RULE is a rules file with one alert.", False, received=said, expected=f"groups, rules, alert: {ALERT_NAME}"
        )
        return
    passed = severity in ("page", "ticket") and "$labels.feature" in summary
    yield CheckFinding(
        "The alert says how urgent it is, and of which feature.",
        passed,
        received=f"severity: {severity}; summary: {summary or 'none'}",
        expected="severity: page or ticket; a summary with {{ $labels.feature }}",
        why="A person who is woken wants to know, before anything else: can it wait, and where to look.",
        mistake="" if passed else "nobody-knows-which",
    )
    if not rules.installed():
        yield formed(expression)
        return
    folder = attempt.settings.home
    rules.write(folder, written)
    fine, said = rules.promtool(folder, "check", "rules", rules.RULES_FILE)
    yield CheckFinding("promtool reads the rule.", fine, received=said[-300:], expected="no errors")
    for case in CASES:
        yield rules.tried(folder, ALERT_NAME, case)


def formed(expression: str) -> CheckFinding:
    """Findings on an expression that need no Prometheus."""
    wanted = {
        "an increase or rate of feature_clipped_total": r"(increase|rate)\(feature_clipped_total\b[^)]*\[",
        "an increase or rate of predictions_total": r"(increase|rate)\(predictions_total\b[^)]*\[",
        "a share for each feature": r"by\s*\(feature\)[^/]*/",
        "a minimum of 50 predictions": r">\s*50\b",
        "a limit of a tenth": r">\s*(0?\.10*\b|10\s*/\s*100)",
    }
    absent = [what for what, pattern in wanted.items() if not re.search(pattern, expression)]
    return CheckFinding(
        "The rule has what it needs (promtool, which could try it, is not installed).",
        not absent,
        received=" ".join(expression.split()),
        expected="; ".join(absent or wanted),
        why="`promtool test rules` tries a rule on made-up series before it can wake anyone. It comes with Prometheus.",
    )
