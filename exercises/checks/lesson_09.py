"""Lesson 9: three incidents found, three normal months silent, a rule that promtool believes, and the live service."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from exercises.checks.answering import Answering
from exercises.checks.attempt import Attempt
from exercises.checks.days import FlightDays
from exercises.checks.doubt import in_time
from exercises.checks.lesson_09_rule import rule
from exercises.checks.result import CheckFinding
from labserver.errors import LabError
from labserver.model.reference import MONTH
from labserver.monitor.drift import Detector
from labserver.monitor.drift import Finding as Alarm
from labserver.monitor.tally import Tally
from labserver.pipeline.incidents import incident
from labserver.pipeline.replay import replay

FIRST_DAY, DAY_AFTER_LAST = date(2013, 2, 1), date(2013, 6, 1)
FIRST_NORMAL_DAY = (date(2013, 3, 1) - FIRST_DAY).days
"""The first day of the three months. What is before is their history."""
INCIDENT_DAYS = (32, 50, 75)
"""Days on which incidents begin."""
DAYS_TO_FIND = 14
"""Days within which a frozen feed must be found."""


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """The detector on real days in this process, the rule by promtool, and at last the live service."""
    parts, context = attempt.parts(), attempt.context()
    detector: Detector = attempt.named("drift")(context)
    days = FlightDays.read(attempt.settings, context, parts.predictor(context, 1), FIRST_DAY, DAY_AFTER_LAST)
    right = 0
    for found in chain(incidents(detector, days), quiet(detector, days)):
        right += found.passed
        yield found
    yield f"{right} of {DETECTED} looks at real days right"
    if right == DETECTED:
        for found in rule(attempt):
            yield found
            if not found.passed:  # one thing at a time; the next would fail for the same reason
                return
        yield from live(attempt)


DETECTED = 6


def incidents(detector: Detector, days: FlightDays) -> Iterator[CheckFinding]:
    """Three things that went wrong upstream."""
    raw, normal = days.raw, days.normal
    kilometres = days.altered("visibility", raw[:, days.place("visibility")] * np.float32(1.609344))
    yield same_day(
        detector,
        normal,
        kilometres,
        "visibility",
        "Visibility in kilometres is found the same day.",
        "10 miles became 16, of a feature that is 0 to 10",
        "No season makes a value impossible. This is a fault upstream, and every prediction rests on it until then.",
    )
    at_jfk = days.origin == "JFK"
    gone = days.altered("humidity", np.where(at_jfk, np.float32(np.nan), raw[:, days.place("humidity")]))
    yield same_day(
        detector,
        normal,
        gone,
        "humidity",
        "A third of the humidity missing is found the same day.",
        "no humidity at JFK; elsewhere it is known, as always",
        "The model gets the typical value instead and answers with the same confidence. Nothing else says so.",
    )
    yield from standing_still(detector, days, at_jfk)


def same_day(
    detector: Detector, normal: list[Tally], broken: list[Tally], feature: str, what: str, sent: str, why: str
) -> CheckFinding:
    """An incident that is to be found on the day on which it begins, whichever it is."""
    alarms = [detector.judge(broken[day], normal[day - MONTH : day]).findings for day in INCIDENT_DAYS]
    passed = all(feature in named(found) for found in alarms)
    missed = next((found for found in alarms if feature not in named(found)), alarms[0])
    return CheckFinding(
        what, passed, sent=sent, received=listed(missed), expected=f"a finding about {feature}", why=why
    )


def standing_still(detector: Detector, days: FlightDays, at: NDArray[np.bool_]) -> Iterator[CheckFinding]:
    """An airport's feed that is still read, and has the same value for weeks."""
    feature, usual = "origin_delay", days.raw[:, days.place("origin_delay")]
    typical = days.catalogue[feature].trained
    constant = np.float32(typical.typical if typical else 0)
    stuck = np.where(at, constant, usual)
    broken, normal, begins = days.altered(feature, stuck), days.normal, INCIDENT_DAYS[0]
    means = f"{np.nanmean(stuck):.1f} instead of {np.nanmean(usual):.1f}"
    sent = f"origin_delay at JFK is frozen at {constant:.1f} min; the mean of all airports is {means}"
    seen = [*normal[:begins], *broken[begins:]]
    found = {day - begins: about(feature, detector, seen, day) for day in range(begins, begins + DAYS_TO_FIND + 1)}
    after, names = next(((after, names) for after, names in found.items() if names), (0, set()))
    yield CheckFinding(
        f"A frozen feed of an airport is found within {DAYS_TO_FIND} days.",
        bool(names),
        sent=sent,
        received=f"{', '.join(sorted(names))} after {after} days" if names else f"nothing about {feature}",
        expected=f"a finding about {feature} within {DAYS_TO_FIND} days",
        why="The mean of a feed that died on an ordinary day is an ordinary mean. Its shape is not: compare the bins.",
        mistake="" if names else "mean-only",
    )
    if not names:
        return
    late = about(feature, detector, seen, begins + MONTH)
    passed = not names.isdisjoint(late)
    yield CheckFinding(
        "After four weeks it still is, by the same name.",
        passed,
        sent=f"{sent}, and did on each of the {MONTH} days before",
        received=f"{', '.join(sorted(late)) or 'nothing'} about {feature}",
        expected=f"{' or '.join(sorted(names))} about {feature}",
        why="Who compares with last week has forgotten, a week later, what right looks like: the alert ends by itself.",
        mistake="" if passed else "bins-from-live-data",
    )


def about(feature: str, detector: Detector, seen: Sequence[Tally], day: int) -> set[str]:
    """The names of what is found about a feature at the end of a day."""
    alarms = detector.judge(seen[day], seen[day - MONTH : day]).findings
    return {alarm.name for alarm in alarms if alarm.feature == feature}


def quiet(detector: Detector, days: FlightDays) -> Iterator[CheckFinding]:
    """Findings on inputs that must raise nothing: too few predictions, and normal months."""
    some = days.normal[FIRST_NORMAL_DAY]
    few = replace(
        some,
        rows=20,
        bins=np.eye(some.bins.shape[1], dtype=np.int64)[np.zeros(len(some.bins), int)] * 20,
        missing=np.full_like(some.missing, 20),
        impossible=np.full_like(some.impossible, 20),
    )
    alarms = [*detector.judge(few, []).findings, *detector.judge(few, [few] * DAYS_TO_FIND).findings]
    yield CheckFinding(
        "A handful of predictions is no day.",
        not alarms,
        sent="20 predictions a day, all alike, every value missing",
        received=listed(alarms),
        expected="no findings",
        why="After a deploy at night three flights are all that there is. A share of three wakes for nothing.",
        mistake="no-minimum" if alarms else "",
    )
    false = [
        (day, alarm)
        for day in range(FIRST_NORMAL_DAY, len(days.normal))
        for alarm in detector.judge(days.normal[day], days.normal[day - MONTH : day]).findings
    ]
    number, months = len({day for day, _ in false}), len(days.normal) - FIRST_NORMAL_DAY
    yield CheckFinding(
        "Three normal months raise nothing.",
        not false,
        sent="every day of March, April and May, each with the 28 days before it",
        received=f"findings on {number} of {months} days: {listed([alarm for _, alarm in false])}",
        expected="no findings",
        why="Three airports' weather changes more from week to week than planes do in a year: a limit is each "
        "feature's own. A detector that cries wolf is switched off before the wolf comes.",
        mistake="one-limit-for-all" if false else "",
    )


def named(alarms: Sequence[Alarm]) -> set[str | None]:
    """The features that they are about."""
    return {alarm.feature for alarm in alarms}


def listed(alarms: Sequence[Alarm]) -> str:
    """The alerts for people, each kind once."""
    kinds = list(dict.fromkeys(f"{alarm.name} about {alarm.feature or 'predictions'}" for alarm in alarms))
    return ", ".join(kinds[:5]) + (f" and {len(kinds) - 5} more" if len(kinds) > 5 else "") or "nothing"


def live(attempt: Attempt) -> Iterator[CheckFinding]:
    """A normal day through the live service, then one with visibility in kilometres."""
    with attempt.service() as service:
        play(service, date(2013, 5, 7))
        time.sleep(2.5)  # it judges once a second
        before = alerts(service)
        play(service, date(2013, 5, 8), "visibility-km")
        until = time.monotonic() + 15
        while "visibility" not in (after := alerts(service)) and time.monotonic() < until:
            time.sleep(0.2)
        exported = service.get("/metrics").text
    yield CheckFinding(
        "The live service with your detector is silent on a normal day.",
        not before,
        sent="the flights of 7 May",
        received=f"alerts about {before}" if before else "no alerts",
        expected="no alerts",
    )
    raised = CheckFinding(
        "It raises the alert when visibility arrives in kilometres.",
        "visibility" in after,
        sent="the flights of 8 May, visibility in kilometres",
        received=f"alerts about {after}" if after else "no alerts",
        expected="an alert about visibility",
        why="This is what the person on call sees.",
    )
    yield from in_time([raised])
    wanted = set(re.findall(r"\b[a-z_]+_total\b", attempt.named("RULE")))
    absent = sorted(name for name in wanted if f"\n{name}{{" not in exported)
    yield CheckFinding(
        "Every metric of the rule is one that the service has.",
        not absent,
        sent="GET /metrics",
        received=f"not there: {', '.join(absent)}" if absent else "all there",
        expected=", ".join(sorted(wanted)),
        why="An alert on a metric that nobody exports never fires, and nobody notices.",
    )


def play(service: Answering, day: date, fault: str | None = None) -> None:
    """Replay every other flight of a day.

    Raises:
        Doubtful: if the service does not answer, as :meth:`exercises.checks.answering.Answering.ask`.
    """
    chosen = incident(fault) if fault else None
    silent = Console(quiet=True)
    try:
        replay(service.settings, service.url, day, 1, 0, False, silent, sample=0, every=2, incident=chosen)
    except LabError as error:
        service.get("/v1/model")  # raises, if the service has ended or does not answer at all
        raise service.doubtful(str(error).rstrip("."), service.stage) from None


def alerts(service: Answering) -> list[str]:
    """The features with alerts. Alerts on outcomes, of which none were sent, are not the detector's."""
    shown = service.get("/v1/monitor").json()["alerts"]
    return [alert["feature"] or alert["name"] for alert in shown if alert["name"] != "LabelJoinStalled"]
