"""Lesson 4: the policies on single vectors, then good and corrupted requests to the live service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from exercises.checks.answering import Answering
from exercises.checks.attempt import Attempt
from exercises.checks.lesson_04_traffic import (
    BROKEN_SOURCES,
    CORRUPTIONS,
    RARE_VALUES,
    Traffic,
    TrafficRequest,
    break_sources,
    traffic,
)
from exercises.checks.result import CheckFinding
from labserver.errors import LabError, Refused
from labserver.features.catalogue import Catalogue, Range
from labserver.service.ports import Ranges

LEAST_CAUGHT, MOST_REFUSED = 95.0, 0.1
"""Per cent of corrupted requests, and of good ones."""

TOO_NARROW = "training-range-refused"
"""The one mistake with which requests are sent all the same: how many it loses is the point."""

FAST_STAGE = 9
"""Of the stages with your ranges in them, the one that reads the online store and answers fast."""


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """Three vectors in this process; then the service, once, with some hundreds of requests."""
    context = attempt.context()
    catalogue = context.catalogue
    part: Ranges = attempt.own()["ranges"](context)
    policies = list(vectors(part, catalogue))
    yield from policies
    if {found.mistake for found in policies if not found.passed} - {TOO_NARROW}:
        return
    asked = traffic(attempt, catalogue)
    with attempt.service(FAST_STAGE) as service:
        break_sources(service.settings)
        yield from live(service, part, catalogue, asked)


def vectors(part: Ranges, catalogue: Catalogue) -> Iterator[CheckFinding]:
    """Findings on one value, for each policy."""
    try:
        gap, impossible, unseen = (became(part, catalogue, "wind_speed", value) for value in (np.nan, 1048.36, 80))
    except Refused as error:
        yield CheckFinding(
            "A value from our own source is never refused.",
            False,
            sent="vectors without wind, with 1048.36 and with 80 mph",
            received=f"apply raised Refused: {error}",
            expected="a gap (NaN) for what is impossible",
            why="The traveller cannot fix the weather station, and would get a 422 for it.",
            mistake="source-refused",
        )
        return
    seen = trained_range(catalogue, "wind_speed")
    untouched = bool(impossible > 1000 and unseen == 80)
    yield CheckFinding(
        "The matrix is changed in place.",
        not untouched,
        sent="two vectors, with 1048.36 and with 80 mph of wind",
        received="both unchanged" if untouched else "changed",
        expected="one value a gap, the other clipped",
        why="The service looks at the matrix that it gave. A changed copy is lost, and `adjusted` stays empty.",
        mistake="copy-changed" if untouched else "",
    )
    yield CheckFinding(
        "A gap stays a gap.",
        bool(np.isnan(gap)),
        sent="a vector without wind",
        received=f"wind {gap:g}",
        expected="a gap (NaN)",
        why="Imputation knows the typical value. Any other value looks as if somebody had measured it.",
        mistake="" if np.isnan(gap) else "gap-closed",
    )
    too_wide = accepts(part, "wind_speed", 1048.36)
    yield CheckFinding(
        "An impossible value from our own source becomes a gap.",
        bool(np.isnan(impossible)),
        sent="1048.36 mph of wind, as at Newark on 12 February 2013",
        received=f"wind {impossible:g}" + (", and a client may send it too" if too_wide else ""),
        expected="a gap (NaN)",
        why="Clipped to the strongest wind that training saw, one broken instrument is a storm at the airport.",
        mistake="" if np.isnan(impossible) else "range-too-wide" if too_wide else "source-clipped",
    )
    refused = not accepts(part, "wind_speed", 80)
    clipped = bool(abs(unseen - seen.high) < 0.001)
    yield CheckFinding(
        "A possible value that training never saw is clipped.",
        clipped and not refused,
        sent="80 mph of wind, as in a hurricane",
        received="refused when a client sends it" if refused else f"wind {unseen:g}",
        expected=f"{seen.high:g} mph, the most that training saw",
        why="Nobody erred. On the day of the storm the service must answer, and say what it did.",
        mistake="" if clipped and not refused else unseen_mistake(refused=refused, gap=bool(np.isnan(unseen))),
    )


def unseen_mistake(*, refused: bool, gap: bool) -> str:
    """The name of the mistake with a value that is possible and unseen."""
    if refused:
        return TOO_NARROW
    return "unseen-imputed" if gap else "unseen-kept"


def trained_range(catalogue: Catalogue, name: str) -> Range:
    """The range of a feature in training."""
    trained = catalogue[name].trained
    if trained is None:
        raise LabError(f"Nothing is known of what training saw of {name}. Run `labserver build`.")
    return trained.seen


def became(part: Ranges, catalogue: Catalogue, name: str, value: float) -> float:
    """One value of an otherwise typical vector, after ``apply``."""
    matrix = np.array([[f.trained.typical for f in catalogue.features if f.trained]], np.float32)
    position = catalogue.names.index(name)
    matrix[0, position] = value
    part.apply(matrix)
    return float(matrix[0, position])


def accepts(part: Ranges, name: str, value: float) -> bool:
    """True if a client may send a value."""
    try:
        part.check_override(name, value)
    except NotImplementedError:
        raise
    except Exception:  # what else it is, the live service shows
        return False
    return True


def live(service: Answering, part: Ranges, catalogue: Catalogue, asked: Traffic) -> Iterator[CheckFinding | str]:
    """Findings on the rates, then on the adjustments that the answers list."""
    good = [(request, answer(service, request)) for request in [*asked.good, *asked.rare]]
    refused = [(request, got) for request, got in good if got["status"] != 200]
    corrupted = [(request, answer(service, request)) for request in asked.corrupted]
    missed = [(request, got) for request, got in corrupted if not names_it(request, got)]
    false_alarms, caught = 100 * len(refused) / len(good), 100 - 100 * len(missed) / len(corrupted)
    yield (
        f"{caught:.1f} % of corrupted requests refused (at least {LEAST_CAUGHT:g}), "
        f"{false_alarms:.1f} % of good ones (at most {MOST_REFUSED:g})"
    )
    yield good_pass(refused, len(good), false_alarms)
    yield corrupted_refused(missed, len(corrupted), caught, part, catalogue)
    for request in asked.broken:
        yield source_replaced(answer(service, request), request, catalogue)
    yield clips_shown([(request, got) for request, got in good if request.feature], catalogue)


def answer(service: Answering, request: TrafficRequest) -> dict[str, Any]:
    """The answer's body, with its status."""
    got = service.post("/v1/predictions", request.body)
    body: dict[str, Any] = {"adjusted": [], "errors": []} | got.json()
    return body | {"status": got.status_code}


def names_it(request: TrafficRequest, got: dict[str, Any]) -> bool:
    """True if a request was rejected for its wrong value, with the allowed ones."""
    fields = [error["field"] for error in got["errors"] if error["allowed"]]
    return got["status"] == 422 and f"overrides.{request.feature}" in fields


def good_pass(refused: list[tuple[TrafficRequest, dict[str, Any]]], number: int, share: float) -> CheckFinding:
    """A finding on false alarms: good requests that were rejected."""
    example = ""
    if refused:
        request, got = refused[0]
        example = f"; the first, {request.kind}: {got['status']} {got.get('detail', '')}"
    passed = share <= MOST_REFUSED
    return CheckFinding(
        "Good requests are answered.",
        passed,
        sent=f"{number} good requests: real flights from September to December, and rare ones such as {RARE_VALUES}",
        received=f"{len(refused)} refused ({share:.1f} %){example}"[:400],
        expected=f"at most {MOST_REFUSED:g} % refused",
        why="A check that turns good customers away is switched off, and then it catches nothing.",
        mistake="" if passed else "good-requests-refused",
    )


def corrupted_refused(
    missed: list[tuple[TrafficRequest, dict[str, Any]]], number: int, share: float, part: Ranges, catalogue: Catalogue
) -> CheckFinding:
    """The catch rate, with the mistake that gets through most often."""
    passed = share >= LEAST_CAUGHT
    received, mistake = f"{share:.1f} % refused", ""
    if missed:
        worst, times = Counter(request.kind for request, _ in missed).most_common(1)[0]
        request, got = next((request, got) for request, got in missed if request.kind == worst)
        value = float(request.body["overrides"][request.feature])
        shown = [(a["received"], a["used"]) for a in got["adjusted"] if a["feature"] == request.feature]
        done = f"and {shown[0][1]:g} was used instead" if shown else "and it was used as it is"
        done = got.get("detail", "") if got["status"] != 200 else done
        received += f"; {times} with {worst} were not: {request.feature} {value:g} gave {got['status']}, {done}"
        impossible = bool(np.isnan(became(part, catalogue, request.feature, value)))
        mistake = "not-rejected" if impossible else "range-too-wide"
        mistake = "refusal-unnamed" if got["status"] == 422 else "refusal-crashes" if got["status"] == 500 else mistake
    return CheckFinding(
        "Corrupted requests are refused, by a 422 that names the field and what is allowed.",
        passed,
        sent=f"{number} requests with one mistake each, of {len(CORRUPTIONS)} kinds",
        received=received[:400],
        expected=f"at least {LEAST_CAUGHT:g} % refused",
        why="The client's code is wrong, and only the client can fix it. A 200 says that all is well.",
        mistake="" if passed else mistake,
    )


def source_replaced(got: dict[str, Any], request: TrafficRequest, catalogue: Catalogue) -> CheckFinding:
    """Our own source is at fault, and the traveller gets an answer all the same."""
    value = next(value for name, value in BROKEN_SOURCES.values() if name == request.feature)
    trained = catalogue[request.feature].trained
    typical = trained.typical if trained else np.nan
    used = [a["used"] for a in got["adjusted"] if a["feature"] == request.feature]
    passed = got["status"] == 200 and bool(used) and abs(used[0] - typical) < 0.001
    unit = catalogue[request.feature].unit
    return CheckFinding(
        f"With {request.feature} {value:g} {unit} in the store the service answers, and shows what it used.",
        passed,
        sent=f"a flight from {request.body['origin']}, whose weather in the online store is at fault",
        received=f"{got['status']}, used {used[0]:g}" if used else f"{got['status']}, adjusted does not name it",
        expected=f"200, and {request.feature} {typical:g} {unit} in adjusted",
        why="The traveller cannot fix the weather station. Its operator must be able to see the fault.",
        mistake="" if passed else "source-fault-passed-on",
    )


def clips_shown(rare: list[tuple[TrafficRequest, dict[str, Any]]], catalogue: Catalogue) -> CheckFinding:
    """Every rare value was clipped to what training saw, and the answer says so."""
    wrong = []
    for request, got in rare:
        seen, value = trained_range(catalogue, request.feature), request.body["overrides"][request.feature]
        wanted = min(max(value, seen.low), seen.high)
        used = [a["used"] for a in got["adjusted"] if a["feature"] == request.feature]
        if not used or abs(used[0] - wanted) > 0.001:
            wrong.append(f"{request.feature} {value:g}: {f'used {used[0]:g}' if used else 'not shown'}, not {wanted:g}")
    return CheckFinding(
        "Values beyond training are clipped, and shown in adjusted.",
        not wrong,
        sent=f"{len(rare)} rare requests",
        received="; ".join(wrong[:3]) or "all shown",
        expected="each one in adjusted, with the nearest value that training saw",
        why="The answer rests on a value that nobody sent. Only the caller can tell what it is worth.",
        mistake="unseen-not-clipped" if wrong else "",
    )
