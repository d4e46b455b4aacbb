"""Lesson 4: the policies on single vectors, then good and corrupted requests to the live service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from exercises.attempt import Answering, Attempt
from exercises.checks.lesson_04_traffic import BROKEN_SOURCES, CORRUPTIONS, RARE, Asked, Traffic, break_sources, traffic
from exercises.result import Finding
from labserver.errors import LabError, Refused
from labserver.features.catalogue import Catalogue, Range
from labserver.features.definitions import CATALOGUE
from labserver.features.ranges import Ranges
from labserver.model.bundle import load_bundle
from labserver.parts import Context

LEAST_CAUGHT, MOST_REFUSED = 95.0, 0.1
"""Per cent of corrupted requests, and of good ones."""

TOO_NARROW = "training-range-refused"
"""The one mistake with which requests are sent all the same: how many it loses is the point."""

FINISHED = 9
"""Of the stages with your ranges in them, the one that reads the online store and answers fast."""


def check(attempt: Attempt) -> Iterator[Finding | str]:
    """Three vectors in this process; then the service, once, with some hundreds of requests."""
    bundle = load_bundle(attempt.settings.bundle)
    catalogue = CATALOGUE.with_trained(bundle.catalogue)
    part: Ranges = attempt.own()["ranges"](Context(attempt.settings, bundle, catalogue))
    policies = list(vectors(part, catalogue))
    yield from policies
    if {found.mistake for found in policies if not found.passed} - {TOO_NARROW}:
        return
    asked = traffic(attempt, catalogue)
    with attempt.service(FINISHED) as service:
        break_sources(service.settings)
        yield from live(service, part, catalogue, asked)


def vectors(part: Ranges, catalogue: Catalogue) -> Iterator[Finding]:
    """What becomes of one value, for each policy."""
    try:
        gap, impossible, unseen = (became(part, catalogue, "wind_speed", value) for value in (np.nan, 1048.36, 80))
    except Refused as error:
        yield Finding(
            "A value from our own source is never refused.",
            False,
            sent="vectors without wind, with 1048.36 and with 80 mph",
            received=f"apply raised Refused: {error}",
            expected="a gap (NaN) for what is impossible",
            why="The traveller who asks cannot mend the weather station, and would get a 422 for it.",
            mistake="source-refused",
        )
        return
    seen = known(catalogue, "wind_speed")
    untouched = bool(impossible > 1000 and unseen == 80)
    yield Finding(
        "The matrix is changed in place.",
        not untouched,
        sent="two vectors, with 1048.36 and with 80 mph of wind",
        received="both unchanged" if untouched else "changed",
        expected="one value a gap, the other clipped",
        why="The service looks at the matrix that it gave. A changed copy is lost, and `adjusted` stays empty.",
        mistake="copy-changed" if untouched else "",
    )
    yield Finding(
        "A gap stays a gap.",
        bool(np.isnan(gap)),
        sent="a vector without wind",
        received=f"wind {gap:g}",
        expected="a gap (NaN)",
        why="Completion knows what is typical. Whatever else stands there looks as if somebody had measured it.",
        mistake="" if np.isnan(gap) else "gap-closed",
    )
    too_wide = accepts(part, "wind_speed", 1048.36)
    yield Finding(
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
    yield Finding(
        "A possible value that training never saw is clipped.",
        clipped and not refused,
        sent="80 mph of wind, as in a hurricane",
        received="refused when a client sends it" if refused else f"wind {unseen:g}",
        expected=f"{seen.high:g} mph, the most that training saw",
        why="Nobody erred. On the day of the storm the service must answer, and say what it did.",
        mistake="" if clipped and not refused else unseen_mistake(refused=refused, gap=bool(np.isnan(unseen))),
    )


def unseen_mistake(*, refused: bool, gap: bool) -> str:
    """What went wrong with a value that is possible and unseen."""
    if refused:
        return TOO_NARROW
    return "unseen-imputed" if gap else "unseen-kept"


def known(catalogue: Catalogue, name: str) -> Range:
    """What training saw of a feature."""
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
    """Whether a client may send a value."""
    try:
        part.check_override(name, value)
    except NotImplementedError:
        raise
    except Exception:  # what else it is, the live service shows
        return False
    return True


def live(service: Answering, part: Ranges, catalogue: Catalogue, asked: Traffic) -> Iterator[Finding | str]:
    """The rates, then what the answers say of what was done."""
    good = [(one, answer(service, one)) for one in [*asked.good, *asked.rare]]
    refused = [(one, got) for one, got in good if got["status"] != 200]
    corrupted = [(one, answer(service, one)) for one in asked.corrupted]
    missed = [(one, got) for one, got in corrupted if not names_it(one, got)]
    false_alarms, caught = 100 * len(refused) / len(good), 100 - 100 * len(missed) / len(corrupted)
    yield (
        f"{caught:.1f} % of corrupted requests refused (at least {LEAST_CAUGHT:g}), "
        f"{false_alarms:.1f} % of good ones (at most {MOST_REFUSED:g})"
    )
    yield good_pass(refused, len(good), false_alarms)
    yield corrupted_refused(missed, len(corrupted), caught, part, catalogue)
    for one in asked.broken:
        yield source_replaced(answer(service, one), one, catalogue)
    yield clips_shown([(one, got) for one, got in good if one.feature], catalogue)


def answer(service: Answering, one: Asked) -> dict[str, Any]:
    """The answer's body, with its status."""
    got = service.post("/v1/predictions", one.body)
    body: dict[str, Any] = {"adjusted": [], "errors": []} | got.json()
    return body | {"status": got.status_code}


def names_it(one: Asked, got: dict[str, Any]) -> bool:
    """Whether a request was refused for the value that is wrong with it, and told what is allowed."""
    fields = [error["field"] for error in got["errors"] if error["allowed"]]
    return got["status"] == 422 and f"overrides.{one.feature}" in fields


def good_pass(refused: list[tuple[Asked, dict[str, Any]]], number: int, share: float) -> Finding:
    """False alarms."""
    example = ""
    if refused:
        one, got = refused[0]
        example = f"; the first, {one.kind}: {got['status']} {got.get('detail', '')}"
    passed = share <= MOST_REFUSED
    return Finding(
        "Good requests are answered.",
        passed,
        sent=f"{number} good requests: real flights from September to December, and rare ones such as {RARE}",
        received=f"{len(refused)} refused ({share:.1f} %){example}"[:400],
        expected=f"at most {MOST_REFUSED:g} % refused",
        why="A check that turns good customers away is switched off, and then it catches nothing.",
        mistake="" if passed else "good-requests-refused",
    )


def corrupted_refused(
    missed: list[tuple[Asked, dict[str, Any]]], number: int, share: float, part: Ranges, catalogue: Catalogue
) -> Finding:
    """The catch rate, with the mistake that gets through most often."""
    passed = share >= LEAST_CAUGHT
    received, mistake = f"{share:.1f} % refused", ""
    if missed:
        worst, times = Counter(one.kind for one, _ in missed).most_common(1)[0]
        one, got = next((one, got) for one, got in missed if one.kind == worst)
        value = float(one.body["overrides"][one.feature])
        shown = [(a["received"], a["used"]) for a in got["adjusted"] if a["feature"] == one.feature]
        done = f"and {shown[0][1]:g} was used instead" if shown else "and it was used as it is"
        done = got.get("detail", "") if got["status"] != 200 else done
        received += f"; {times} with {worst} were not: {one.feature} {value:g} gave {got['status']}, {done}"
        impossible = bool(np.isnan(became(part, catalogue, one.feature, value)))
        mistake = "not-rejected" if impossible else "range-too-wide"
        mistake = "refusal-unnamed" if got["status"] == 422 else "refusal-crashes" if got["status"] == 500 else mistake
    return Finding(
        "Corrupted requests are refused, by a 422 that names the field and what is allowed.",
        passed,
        sent=f"{number} requests with one mistake each, of {len(CORRUPTIONS)} kinds",
        received=received[:400],
        expected=f"at least {LEAST_CAUGHT:g} % refused",
        why="The client's code is wrong, and only the client can mend it. A 200 says that all is well.",
        mistake="" if passed else mistake,
    )


def source_replaced(got: dict[str, Any], one: Asked, catalogue: Catalogue) -> Finding:
    """Our own source is at fault, and the traveller gets an answer all the same."""
    value = next(value for name, value in BROKEN_SOURCES.values() if name == one.feature)
    trained = catalogue[one.feature].trained
    typical = trained.typical if trained else np.nan
    used = [a["used"] for a in got["adjusted"] if a["feature"] == one.feature]
    passed = got["status"] == 200 and bool(used) and abs(used[0] - typical) < 0.001
    unit = catalogue[one.feature].unit
    return Finding(
        f"With {one.feature} {value:g} {unit} in the store the service answers, and shows what it used.",
        passed,
        sent=f"a flight from {one.body['origin']}, whose weather in the online store is at fault",
        received=f"{got['status']}, used {used[0]:g}" if used else f"{got['status']}, adjusted does not name it",
        expected=f"200, and {one.feature} {typical:g} {unit} in adjusted",
        why="The traveller cannot mend the weather station. Whoever runs it must be able to see it.",
        mistake="" if passed else "source-fault-passed-on",
    )


def clips_shown(rare: list[tuple[Asked, dict[str, Any]]], catalogue: Catalogue) -> Finding:
    """Every rare value was clipped to what training saw, and the answer says so."""
    wrong = []
    for one, got in rare:
        seen, value = known(catalogue, one.feature), one.body["overrides"][one.feature]
        wanted = min(max(value, seen.low), seen.high)
        used = [a["used"] for a in got["adjusted"] if a["feature"] == one.feature]
        if not used or abs(used[0] - wanted) > 0.001:
            wrong.append(f"{one.feature} {value:g}: {f'used {used[0]:g}' if used else 'not shown'}, not {wanted:g}")
    return Finding(
        "Values beyond training are clipped, and shown in adjusted.",
        not wrong,
        sent=f"{len(rare)} rare requests",
        received="; ".join(wrong[:3]) or "all shown",
        expected="each one in adjusted, with the nearest value that training saw",
        why="The answer rests on a value that nobody sent. Only the caller can tell what it is worth.",
        mistake="unseen-not-clipped" if wrong else "",
    )
