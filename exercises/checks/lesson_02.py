"""Lesson 2: the learner's source against a slow count, against a world without a future, and in the live service."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import duckdb

from exercises.checks.answering import Answering
from exercises.checks.attempt import Attempt, NotYet
from exercises.checks.bundles import build_small, small_home
from exercises.checks.departures import MISTAKEN, Count, DepartureQuestion, Value, every_flight, right
from exercises.checks.result import CheckFinding
from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Group
from labserver.features.store import connect
from labserver.model.bundle import load_bundle
from labserver.moments import NEW_YORK
from labserver.pipeline.history import write_history
from labserver.pipeline.materialise import set_clock
from labserver.pipeline.sources.warehouse import open_warehouse, prepare
from labserver.settings import FINISHED_STAGE, Settings

FEATURE_NAME = "recent_delay"


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """The definition, the values, the future erased; then a small bundle and the finished service on it."""
    catalogue = attempt.parts().catalogue(attempt.settings)
    group = catalogue.group_of.get(FEATURE_NAME)
    yield in_the_catalogue(catalogue, group)
    if group is None:
        raise NotYet
    small = small_home(attempt.settings, attempt.settings.home / "own")
    with duckdb.connect(str(small.warehouse)) as db:
        prepare(db)
        for found in (computed(db, group), *agrees(db, group)):
            yield found
            if not found.passed:
                raise NotYet
    build_small(small, catalogue)
    yield from served(attempt, small, catalogue)


def in_the_catalogue(catalogue: Catalogue, group: Group | None) -> CheckFinding:
    """Checks that the group exists, for the airport."""
    passed = group is not None and group.entity == ("origin",) and group.source == "flights"
    return CheckFinding(
        f"The catalogue has {FEATURE_NAME}, a number of each airport.",
        passed,
        sent="catalogue(settings, before)",
        received="no such feature" if group is None else f"a group of {group.entity} from {group.source}",
        expected=f"{FEATURE_NAME} among the features, in a group of ('origin',) from the source flights",
        why="Training, the store and the live service take their definitions from the catalogue alone.",
        mistake="" if passed else "not-in-the-catalogue",
    )


def computed(db: duckdb.DuckDBPyConnection, group: Group) -> CheckFinding:
    """Checks that its SQL runs, and gives an airport one value at a time."""
    what, sent = "Its SQL runs, and gives an airport one value at a time.", "the SQL, over some weeks of flights"
    try:
        write_history(db, Catalogue((group,)))
    except (duckdb.Error, LabError) as error:
        received = " ".join(str(error).split())[:300]
        repeated = isinstance(error, LabError)
        why = "Of two values at one moment, training may take one and the service the other." if repeated else ""
        mistake = "two-values-at-a-time" if repeated else ""
        return CheckFinding(
            what, False, sent, received, "known_at, origin, recent_delay; no moment twice", why, mistake
        )
    return CheckFinding(what, True, sent)


QUESTIONS = """
    SELECT carrier, flight, f.origin, dest, epoch(scheduled_departure) / 60, epoch(predicted_at) / 60, h.recent_delay
    FROM flights AS f ASOF LEFT JOIN history.{group} AS h
        ON f.origin = h.origin AND epoch_us(f.predicted_at) >= h.known_at
    WHERE f.day IN (DATE '2013-08-01', DATE '2013-08-22', DATE '2013-09-02', DATE '2013-12-10')
        AND f.flight_id % 11 = 0 ORDER BY f.flight_id
"""
"""The point-in-time join for a sample of four days, nights and storms among them."""


def agrees(db: duckdb.DuckDBPyConnection, group: Group) -> Iterator[CheckFinding]:
    """The values that the join finds, against the slow count; then the future is erased."""
    airports = every_flight(db)
    rows = [
        (DepartureQuestion(*row[:-1]), row[-1]) for row in db.execute(QUESTIONS.format(group=group.name)).fetchall()
    ]

    def differing(count: Count) -> list[tuple[DepartureQuestion, Value, float]]:
        judged = [(question, got, count(question, airports[question.origin])) for question, got in rows]
        return [(question, got, counted) for question, got, counted in judged if not same(got, counted)]

    wrong, changed = differing(right), changed_by_erasing(db, group)
    mistake, why = named(wrong, differing, len(rows), changed) if wrong else ("", "")
    yield CheckFinding(
        "At the moment of the question it says what had happened by then.",
        not wrong,
        sent=f"{len(rows)} real questions, two hours before each flight",
        received=f"{len(wrong)} other values. {an_example(wrong)}" if wrong else "the values of the slow count",
        expected="the mean of the departures in the three hours up to the last batch, NULL if there were none",
        why=why,
        mistake=mistake,
    )
    yield CheckFinding(
        "Erasing the future changes nothing of the past.",
        not changed,
        sent=f"the same warehouse without the departures after {ERASED_AFTER:%d %B, %H:%M}",
        received=f"{changed:,} values with an earlier known_at have changed" if changed else "no value has changed",
        expected="no value has changed",
        why="A value that depends on what comes later is not there when the question is put.",
        mistake="looks-ahead" if changed else "",
    )


def named(
    wrong: Sequence[tuple[DepartureQuestion, Value, float]],
    differing: Callable[[Count], Sequence[object]],
    rows: int,
    changed: int,
) -> tuple[str, str]:
    """The mistake's name, and an explanation of it."""
    few = min(len(wrong) // 2, rows // 20)
    for mistake, (counts, is_what) in MISTAKEN.items():
        if any(len(differing(count)) <= few for count in counts):
            return mistake, f"It is {is_what}"
    if all(math.isnan(counted) for _, _, counted in wrong):
        if all(got == 0 for _, got, _ in wrong):
            return "gap-filled-with-0", "Nobody left, and the model reads: everybody left on time."
        return "old-value-kept", "Nothing was published when nobody left, so an old value goes on looking like news."
    if changed:
        return "looks-ahead", f"{changed:,} values change when the future is erased: it counts what nobody knew yet."
    return "", "Training would learn from a number that means something else than its name says."


def same(got: Value, counted: float) -> bool:
    """Equal up to the rounding of float32; nothing equals nothing."""
    if got is None or math.isnan(counted):
        return got is None and math.isnan(counted)
    return math.isclose(got, counted, rel_tol=1e-6, abs_tol=1e-6)


def an_example(wrong: Sequence[tuple[DepartureQuestion, Value, float]]) -> str:
    """One case in words, with two numbers if there is such a one."""
    numbers = [case for case in wrong if case[1] is not None and not math.isnan(case[2])]
    question, got, counted = (numbers or wrong)[0]
    return (
        f"At {question.origin} on {shown(question.asked)} it is {in_words(got)}; by the slow count {in_words(counted)}."
    )


def shown(moment: float) -> str:
    """A moment for people, on New York's clock."""
    return f"{datetime.fromtimestamp(moment * 60, NEW_YORK):%d %B, %H:%M}"


def in_words(value: Value) -> str:
    """A number of minutes, for people."""
    return "NULL" if value is None or math.isnan(value) else f"{value:.2f} min"


ERASED_AFTER = datetime(2013, 8, 22, 18, 0, tzinfo=NEW_YORK)


def changed_by_erasing(db: duckdb.DuckDBPyConnection, group: Group) -> int:
    """Number of values known up to a moment that change once everything after it is erased."""
    db.execute("BEGIN")
    try:
        db.execute(
            "UPDATE flights SET departed_at = NULL, departure_delay = NULL, arrived_at = NULL, arrival_delay = NULL "
            "WHERE departed_at > $moment",
            {"moment": ERASED_AFTER},
        )
        [[changed]] = db.execute(
            f"""SELECT count(*) FROM history.{group.name} AS before
                FULL JOIN (SELECT epoch_us(known_at) AS known_at, origin, {FEATURE_NAME} FROM ({group.sql})) AS after
                    USING (known_at, origin)
                WHERE known_at <= epoch_us($moment) AND before.{FEATURE_NAME} IS DISTINCT FROM after.{FEATURE_NAME}""",
            {"moment": ERASED_AFTER},
        ).fetchall()
    finally:
        db.execute("ROLLBACK")
    return int(changed)


MOMENTS = tuple(
    datetime(2013, month, day, hour, minute, tzinfo=NEW_YORK)
    for month, day, hour, minute in ((9, 2, 4, 0), (9, 2, 19, 7), (12, 10, 12, 30))
)
"""A night in which nobody has left for long, a rush hour, and a day of snow."""

NEXT_QUESTIONS = """
    SELECT carrier, flight, origin, dest, epoch(scheduled_departure) / 60, epoch($moment::TIMESTAMPTZ) / 60 FROM flights
    WHERE scheduled_departure > $moment
    QUALIFY row_number() OVER (PARTITION BY origin ORDER BY flight_id) <= 5
"""


def served(attempt: Attempt, small: Settings, catalogue: Catalogue) -> Iterator[CheckFinding]:
    """The live service, its clock moved on by what becomes known."""
    wrong: list[tuple[DepartureQuestion, Value, float]] = []
    asked = 0
    with replace(attempt, settings=small).service(FINISHED_STAGE) as service, open_warehouse(small.warehouse) as db:
        airports = every_flight(db)
        path = service.settings.online_store(load_bundle(small.bundle).features_version)
        with closing(connect(path, catalogue)) as store:
            for moment in MOMENTS:
                set_clock(db, store, catalogue, moment)
                for question in [
                    DepartureQuestion(*row) for row in db.execute(NEXT_QUESTIONS, {"moment": moment}).fetchall()
                ]:
                    got, counted = value_of(service, question), right(question, airports[question.origin])
                    asked += 1
                    wrong += [] if same(got, counted) else [(question, got, counted)]
    yield CheckFinding(
        "The live service answers with it.",
        not wrong,
        sent=f"POST /v1/features/vector for {asked} real flights, at three moments of the store's clock",
        received=an_example(wrong) if wrong else "the values of the slow count",
        expected="what had happened up to the last batch",
        why="The number in the answer must be the one that training saw.",
        mistake="training-serving-skew" if wrong else "",
    )


def value_of(service: Answering, question: DepartureQuestion) -> Value:
    """The value that the service uses now. It fills a gap, and reports that."""
    body = {"carrier": question.carrier, "flight": question.flight, "origin": question.origin, "dest": question.dest}
    times = {"scheduled_departure": question.scheduled, "as_of": question.asked}
    body |= {name: datetime.fromtimestamp(moment * 60, NEW_YORK).isoformat() for name, moment in times.items()}
    values = service.post("/v1/features/vector", body).json()["values"]
    [found] = [value for value in values if value["name"] == FEATURE_NAME]
    return None if found["adjusted"] == "imputed" else float(found["value"])
