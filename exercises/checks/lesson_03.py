"""Lesson 3: clean tables that must pass, seeded bugs that must not, and vectors with faults in the live service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exercises.checks.answering import Answering
from exercises.checks.attempt import Attempt
from exercises.checks.joined import JoinedTables, joined
from exercises.checks.lesson_03_bugs import BUGS, WHY_IT_MATTERS, Bug
from exercises.checks.result import CheckFinding
from labserver.features.catalogue import Catalogue
from labserver.moments import NEW_YORK
from labserver.pipeline import clock

Validate = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], Any]


@dataclass(frozen=True)
class Clean:
    """A table without a bug, and the mistake of validations that refuse it. Some have only flights without a gap."""

    what: str
    days: tuple[str, ...]
    why: str
    mistake: str
    gaps: bool = True


ORDINARY_DAYS = ("2013-10-14", "2013-10-15", "2013-10-16")
CLEANS = (
    Clean(
        "flights of three ordinary days of which everything is known",
        ORDINARY_DAYS,
        "A validation that rejects right data is switched off within a week.",
        "clean-refused",
        gaps=False,
    ),
    Clean(
        "all flights of these days",
        ORDINARY_DAYS,
        "A sixth of the planes is in no reference table. A gap is a fault only where the source has none.",
        "gaps-refused",
    ),
    Clean(
        "the days on which most of the pressure is missing",
        ("2013-05-07", "2013-05-08", "2013-05-09"),
        "Sources have gaps, and completion fills them. How many there are changes from day to day.",
        "gaps-refused",
    ),
    Clean(
        "days with a pressure that training never saw",
        ("2013-11-29", "2013-11-30"),
        "Weather sets records. What training never saw is not wrong for that.",
        "unseen-refused",
    ),
    Clean(
        "the days around the change of the clocks",
        ("2013-11-02", "2013-11-03", "2013-11-04"),
        "It comes twice a year, on a Sunday, and wakes the person on call.",
        "clock-change-refused",
    ),
)


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """Clean tables, bugs and single vectors in this process; the live service for a part that deserves it."""
    completion = attempt.own()["completion"]
    validate: Validate = attempt.named("validate")
    everything = joined(attempt.settings.warehouse, *(day for clean in CLEANS for day in clean.days))
    clean = True
    for found in accepts(everything, validate):
        clean &= found.passed
        yield found
    if not clean:
        yield "clean tables are refused"
        return
    tables, caught = everything.on(*ORDINARY_DAYS), 0
    for number, bug in enumerate(BUGS, start=1):
        found = meets(validate, tables, bug, number)
        caught += found.passed
        yield found
    yield f"{caught} of {len(BUGS)} bugs caught"
    context = attempt.context()
    vectors = list(completes(completion(context), context.catalogue, tables))
    yield from vectors
    if caught == len(BUGS) and all(found.passed for found in vectors):
        yield from live(attempt, context.catalogue, tables)


def accepts(everything: JoinedTables, validate: Validate) -> Iterator[CheckFinding]:
    """Each clean table, and the first in another order of its rows."""
    for clean in CLEANS:
        tables = everything.on(*clean.days) if clean.gaps else without_gaps(everything.on(*clean.days))
        yield accepted(validate, tables, clean)
        if clean is CLEANS[0]:
            features = tables.features.sample(frac=1, random_state=3)
            why = "No join promises an order of rows. Rows are matched by their key, never by their place."
            other = Clean("the same rows in another order", clean.days, why, "row-order-demanded")
            yield accepted(validate, tables._replace(features=features), other)


def without_gaps(tables: JoinedTables) -> JoinedTables:
    """Only the flights of which everything is known."""
    known = tables.features.notna().all(axis=1)
    return tables._replace(features=tables.features[known], flights=tables.flights[known])


def accepted(validate: Validate, tables: JoinedTables, clean: Clean) -> CheckFinding:
    """A finding on whether a table without a bug passes."""
    problems = validate(*copies(tables))
    passed = isinstance(problems, list) and not problems
    return CheckFinding(
        f"Clean data pass: {clean.what}.",
        passed,
        sent=f"the table of {clean.days[0]} to {clean.days[-1]}, {len(tables.features):,} rows, without a bug",
        received=quoted(problems) if isinstance(problems, list) else f"{problems!r}, not a list"[:300],
        expected="an empty list",
        why=clean.why,
        mistake="" if passed else clean.mistake,
    )


def meets(validate: Validate, tables: JoinedTables, bug: Bug, number: int) -> CheckFinding:
    """A finding on whether a bug is caught. It names the kind of the bug, not the bug."""
    seeded = tables._replace(features=bug.seed(tables))
    try:
        problems = [str(problem) for problem in validate(*copies(seeded))]
        received = quoted(problems) or "no problem"
    except Exception as error:
        problems, received = [], " ".join(f"{type(error).__name__}: {error}".split())
    named = [problem for problem in problems if not bug.columns or any(name in problem for name in bug.columns)]
    mistake, why = bug.mistake, WHY_IT_MATTERS[bug.kind]
    if problems:
        mistake, why = "column-not-named", "The person on call knows that something is wrong, and not where to look."
    elif received != "no problem":
        mistake, why = "validation-crashes", "A validation that ends at one fault says nothing of the others."
    return CheckFinding(
        f"Bug {number} of {len(BUGS)} is caught. Its kind: {bug.kind}.",
        bool(named),
        sent=f"the table of {ORDINARY_DAYS[0]} to {ORDINARY_DAYS[-1]} with one bug",
        received=received[:300],
        expected="a problem that names the column at fault" if bug.columns else "a problem",
        why=why,
        mistake="" if named else mistake,
    )


def copies(tables: JoinedTables) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A copy of the tables, since a learner's code can change its arguments."""
    return tables.features.copy(), tables.flights.copy(), tables.weather.copy()


def quoted(problems: list[Any]) -> str:
    """The first few of a learner's own sentences."""
    more = f" … and {len(problems) - 2} more" if len(problems) > 2 else ""
    return ("; ".join(str(problem) for problem in problems[:2]) + more)[:300]


def completes(part: Any, catalogue: Catalogue, tables: JoinedTables) -> Iterator[CheckFinding]:
    """Findings on single vectors: a gap, an impossible value, an infinity, and values that must stay."""
    row = tables.features[list(catalogue.names)].dropna().to_numpy(np.float32)[:1]
    typical = {f.name: f.trained.typical for f in catalogue.features if f.trained}
    told = partial(became, part, catalogue, row)
    yield told(
        "plane_seats", np.nan, typical, "gap-not-typical", "Training filled it with the median. 0 seats is wrong."
    )
    why = "Lesson 4 tells the client. Until then nothing impossible may reach the model."
    yield told("plane_seats", -1, typical, "fault-passed-on", why)
    yield told("visibility", np.inf, typical, "fault-passed-on", "1e39 is a number in JSON, and infinite in float32.")
    why = "It can be, so it may be true. The last look before the model is no place to change the question."
    yield told("wind_speed", 80, {"wind_speed": 80.0}, "unseen-value-changed", why)


def became(
    part: Any,
    catalogue: Catalogue,
    row: NDArray[np.float32],
    name: str,
    value: float,
    wanted: dict[str, float],
    mistake: str,
    why: str,
) -> CheckFinding:
    """A finding on one value of a real vector. No other value may change."""
    matrix = row.copy()
    position = catalogue.names.index(name)
    matrix[0, position] = value
    part.apply(matrix)
    rest = np.delete(matrix != row, position)
    passed = abs(float(matrix[0, position]) - wanted[name]) < 0.001 and not rest.any()
    others = f", and {int(rest.sum())} other values changed" if rest.any() else ""
    return CheckFinding(
        f"A vector with {name} {value:g} is completed.",
        passed,
        sent=f"a real vector with {name} {value:g}",
        received=f"{name} {matrix[0, position]:g}{others}",
        expected=f"{name} {wanted[name]:g} {catalogue[name].unit}, the rest as it was",
        why=why,
        mistake="" if passed else mistake,
    )


def live(attempt: Attempt, catalogue: Catalogue, tables: JoinedTables) -> Iterator[CheckFinding]:
    """The service with this part: what it would give to the model, at ``POST /v1/features/vector``."""
    flights = attempt.flights(ORDINARY_DAYS[1], 5)
    with attempt.service() as service:
        # Once the day is over: this stage answers for the prediction time of each flight.
        clock.move(service.settings, catalogue, datetime.fromisoformat(ORDINARY_DAYS[2]).replace(tzinfo=NEW_YORK))
        yield parity(service, catalogue, tables, flights)
        faults = {"plane_seats": -1, "visibility": 1e39, "wind_speed": 80}
        answer = service.post("/v1/features/vector", flights[0] | {"overrides": faults})
    shown = {v["name"]: v for v in answer.json().get("values", [])}
    got = {name: (round(shown[name]["value"], 2), shown[name]["adjusted"]) for name in faults if name in shown}
    typical = {f.name: round(f.trained.typical, 2) for f in catalogue.features if f.trained}
    expected = {name: (typical[name], "imputed") for name in ("plane_seats", "visibility")} | {"wind_speed": (80, None)}
    yield CheckFinding(
        "In the live service a vector with faults is completed, and says so.",
        got == expected,
        sent=f"POST /v1/features/vector with overrides {faults}",
        received=f"{answer.status_code} {got}",
        expected=str(expected),
        why="The caller sees which values were replaced.",
        mistake="" if got == expected else "fault-passed-on",
    )


def parity(
    service: Answering, catalogue: Catalogue, tables: JoinedTables, flights: list[dict[str, Any]]
) -> CheckFinding:
    """A finding on whether the service gives the model the values of training, with gaps filled."""
    key = ["carrier", "flight", "origin"]
    trained = tables.features[tables.features["day"] == pd.Timestamp(ORDINARY_DAYS[1])].set_index(key)[
        list(catalogue.names)
    ]
    differing = []
    for flight in flights:
        values = service.post("/v1/features/vector", flight).json()["values"]
        row = trained.loc[tuple(flight[name] for name in key)]
        for v in values:
            known, filled = float(row[v["name"]]), catalogue[v["name"]].trained
            wanted = filled.typical if filled and np.isnan(known) else known
            if abs(v["value"] - wanted) > 0.001:
                differing.append(f"{v['name']} {v['value']:g}, in training {wanted:g}")
    return CheckFinding(
        "Served vectors are those of training, gaps filled.",
        not differing,
        sent=f"POST /v1/features/vector for {len(flights)} real flights",
        received="; ".join(differing[:3]) or "the same values",
        expected="the same values",
        why="A model that gets other numbers than it learned from is another model.",
        mistake="served-not-as-trained" if differing else "",
    )
