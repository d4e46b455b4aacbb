"""Lesson 0: the learner's feature in the catalogue, in a challenger's signature, and in the live service."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exercises.checks.answering import Answering
from exercises.checks.attempt import Attempt, NotYet
from exercises.checks.bundles import build_small, small_home
from exercises.checks.names import difference
from exercises.checks.result import CheckFinding
from labserver.errors import LabError
from labserver.features.catalogue import Catalogue, Feature, Range
from labserver.features.definitions import CATALOGUE
from labserver.moments import NEW_YORK
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.settings import FINISHED_STAGE

FEATURE_NAME = "late_evening"
MINUTES = np.arange(24 * 60, dtype=np.float64)
WEEKDAYS = np.full(24 * 60, 3.0)
EXPECTED = (MINUTES >= 22 * 60).astype(np.float64)

FIRST_GROUP, *OTHER_GROUPS = CATALOGUE.groups
EXPECTED_NAMES = (
    *(f.name for f in FIRST_GROUP.features),
    FEATURE_NAME,
    *(f.name for group in OTHER_GROUPS for f in group.features),
)

Misread = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


def shifted(hours: int) -> Misread:
    """Another zone's 22 and 23 o'clock."""
    return lambda minute: (minute + hours * 60) % (24 * 60) >= 22 * 60


MISREAD: tuple[tuple[str, Misread], ...] = (
    *(("hour-in-utc", shifted(hours)) for hours in (4, 5, -4, -5)),  # summer and winter, either way
    ("minutes-read-as-hours", lambda minute: minute >= 22),
    ("minutes-read-as-hhmm", lambda minute: minute >= 2200),
    ("boundary-left-out", lambda minute: minute > 22 * 60),
)
"""Mistakes that give another function of the minute, and what they give."""


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """The definition, the function, the challenger; then a small bundle and the finished service on it."""
    catalogue = yield from defined(attempt)
    for found in (described(catalogue[FEATURE_NAME]), *computed(catalogue[FEATURE_NAME].request)):
        yield found
        if not found.passed:
            raise NotYet
    from exercises.checks.signature import Misnamed, SignatureProbe  # brings scikit-learn with it

    small = small_home(attempt.settings, attempt.settings.home / "own")
    trained = SignatureProbe(attempt.named("challenger"), catalogue)
    try:
        build_small(small, catalogue, trained)
    except Misnamed as wrong:
        yield wrong.finding
        raise NotYet from None
    yield trained.finding()
    with replace(attempt, settings=small).service(FINISHED_STAGE) as service:
        yield from listed(service, catalogue)
        yield from served(service, attempt)


def defined(attempt: Attempt) -> Generator[CheckFinding, None, Catalogue]:
    """Gives the learner's catalogue if it is the course's and one feature more."""
    own = attempt.own()
    try:
        catalogue: Catalogue = attempt.parts().catalogue(attempt.settings)
    except LabError as error:
        if "needs a unit" not in str(error):
            raise
        yield CheckFinding(
            "The feature has a unit, a meaning and an owner.",
            False,
            sent="catalogue(settings)",
            received=str(error),
            expected='a unit such as "0 or 1", a sentence and a team',
            why="A number without a unit is read as miles by one team and as kilometres by the next; lesson 4 has one.",
            mistake="unit-missing",
        )
        raise NotYet from None
    beside = "service" in own or "completion" in own or "ranges" in own
    yield CheckFinding(
        f"The catalogue has {FEATURE_NAME}.",
        FEATURE_NAME in catalogue.names,
        sent="catalogue(settings)",
        received=f"{len(catalogue.names)} features; " + difference(catalogue.names, EXPECTED_NAMES),
        expected=f"{FEATURE_NAME} among the features",
        why="What is computed beside the catalogue is in no training table. This is how a second copy begins."
        if beside
        else "What is not in the catalogue is in no training table, no GET /v1/features and no drift report.",
        mistake=""
        if FEATURE_NAME in catalogue.names
        else "computed-in-the-handler"
        if beside
        else "not-in-the-catalogue",
    )
    if FEATURE_NAME not in catalogue.names:
        raise NotYet
    yield unchanged(catalogue)
    return catalogue


def unchanged(catalogue: Catalogue) -> CheckFinding:
    """Checks that all else is the course's, in its order, and that the feature is the last of the first group."""
    rest = Catalogue(
        tuple(
            replace(group, features=tuple(feature for feature in group.features if feature.name != FEATURE_NAME))
            for group in catalogue.groups
        )
    )
    passed = catalogue.names == EXPECTED_NAMES and rest.definition() == CATALOGUE.definition()
    return CheckFinding(
        "Everything else in the catalogue is as it was.",
        passed,
        sent="catalogue(settings)",
        received=difference(catalogue.names, EXPECTED_NAMES),
        expected=f"the course's features, as it defines them, and {FEATURE_NAME} after {FIRST_GROUP.features[-1].name}",
        why="Adding a feature must not change one that other models use.",
        mistake="" if passed else "another-feature-changed",
    )


def described(feature: Feature) -> CheckFinding:
    """Checks the range. The catalogue itself requires a unit, a meaning and an owner."""
    passed = feature.possible == Range(0, 1) and feature.request is not None
    return CheckFinding(
        "It is made from the request, and only 0 to 1 are possible.",
        passed,
        sent=f"catalogue[{FEATURE_NAME!r}]",
        received=f"possible {feature.possible}, {'with' if feature.request else 'without'} a function of the request",
        expected="possible 0 to 1, with a function of the request",
        why="The range rejects a client that sends 22 instead of 1.",
        mistake="" if passed else "wrong-range",
    )


def computed(request: Callable[[Any, Any], Any] | None) -> Iterator[CheckFinding]:
    """The function, on every minute of a day: as a table, and one by one as the service calls it."""
    if request is None:
        return
    try:
        got = request(MINUTES, WEEKDAYS)
    except ValueError as error:
        if "truth value of an array" not in str(error):
            raise
        yield CheckFinding(
            "The function takes a table of flights.",
            False,
            sent="every minute of a day, as a float64 array",
            received=str(error),
            expected="an array of 1,440 numbers",
            why="Training calls it with a column of 336,776 flights. An `if` would need a copy of it for training, "
            "and two copies drift apart.",
            mistake="one-flight-at-a-time",
        )
        return
    dtype, shape = getattr(got, "dtype", type(got).__name__), getattr(got, "shape", ())
    passed = dtype == np.float64 and shape == MINUTES.shape
    yield CheckFinding(
        "It gives float64, one number a flight.",
        passed,
        sent="every minute of a day, as a float64 array of shape (1440,)",
        received=f"{dtype} of shape {shape}",
        expected="float64 of shape (1440,)",
        why="The catalogue promises numbers. True is none: in NumPy a gap (NaN) becomes True, and 1 - True an error.",
        mistake="" if passed else "wrong-dtype",
    )
    if not passed:
        return
    yield right_minutes(np.asarray(got))
    single = [float(request(minute, 3)) for minute in range(24 * 60)]
    yield CheckFinding(
        "It gives the same for a single flight.",
        single == got.tolist(),
        sent="every minute of a day, one at a time, as the service does",
        received=f"{sum(a != b for a, b in zip(single, got.tolist(), strict=True))} other numbers",
        expected="no other number",
        why="This is the skew of the lesson: training saw one feature, the service computes another.",
        mistake="" if single == got.tolist() else "training-serving-skew",
    )


def right_minutes(got: NDArray[np.float64]) -> CheckFinding:
    """A finding on whether it is 1 from 22:00 on; if not, with the mistake if it is a known one."""
    wrong = np.flatnonzero(got != EXPECTED)
    names = [name for name, misread in MISREAD if (got == misread(MINUTES)).all()]
    shown = ", ".join(f"{minute // 60}:{minute % 60:02} is {got[minute]:g}" for minute in wrong[:: len(wrong) // 3 + 1])
    return CheckFinding(
        "It is 1 from 22:00 on, New York time.",
        not len(wrong),
        sent="every minute of a day in New York",
        received=f"{len(wrong)} minutes wrong: {shown}" if len(wrong) else "as expected",
        expected="0 up to 21:59, 1 from 22:00 to 23:59",
        why="Nothing crashes when an hour is shifted. The model learns that late flights leave at dinner time."
        if "hour-in-utc" in names
        else "Nothing crashes when a time is misread. The answers just get worse.",
        mistake="" if not len(wrong) else names[0] if names else "wrong-minutes",
    )


def listed(service: Answering, catalogue: Catalogue) -> Iterator[CheckFinding]:
    """The running service's own description of its features and its model."""
    groups = service.get("/v1/features").json()["groups"]
    shown = next((f for group in groups for f in group["features"] if f["name"] == FEATURE_NAME), None)
    yield CheckFinding(
        f"GET /v1/features shows {FEATURE_NAME}.",
        shown is not None and shown["dtype"] == "float32" and bool(shown["unit"]),
        sent="GET /v1/features",
        received=str(shown),
        expected=f"{FEATURE_NAME}, float32, with its unit and what training saw of it",
        why="Clients and other teams read the catalogue here, not in your code.",
    )
    signature = service.get("/v1/model").json()["signature"]["input"]["features"]
    wants = [feature["name"] for feature in signature]
    yield CheckFinding(
        "GET /v1/model shows the challenger's signature.",
        wants == list(catalogue.names),
        sent="GET /v1/model",
        received=difference(wants, catalogue.names),
        expected=f"the {len(catalogue.names)} features of your catalogue, in its order",
    )


EVENINGS = """
    SELECT carrier, flight, origin, dest, tailnum, scheduled_departure FROM flights
    WHERE day IN (DATE '2013-09-03', DATE '2013-12-10')
    QUALIFY row_number() OVER (PARTITION BY day, extract(hour FROM scheduled_departure),
        extract(minute FROM scheduled_departure) >= 30 ORDER BY flight_id) = 1
    ORDER BY scheduled_departure
"""
"""A real flight of every half hour of a day in summer and of one in winter, where there is one."""


def served(service: Answering, attempt: Attempt) -> Iterator[CheckFinding]:
    """The value that the live service uses for real flights, and an answer."""
    with open_warehouse(attempt.settings.warehouse) as db:
        rows = db.execute(EVENINGS).fetchall()
    names = ("carrier", "flight", "origin", "dest", "tailnum")
    wrong, late = [], 0
    for *identity, departure in rows:
        local = departure.astimezone(NEW_YORK)
        flight = dict(zip(names, identity, strict=True)) | {"scheduled_departure": local.isoformat()}
        values = service.post("/v1/features/vector", flight).json()["values"]
        got, expected = next(v["value"] for v in values if v["name"] == FEATURE_NAME), float(local.hour >= 22)
        late += local.hour >= 22
        wrong += [f"{got:g} for {local:%d %B %H:%M}"] if got != expected else []
    yield CheckFinding(
        "The live service uses it, in summer and in winter.",
        not wrong,
        sent=f"POST /v1/features/vector for {len(rows)} real flights, {late} of them at 22:00 or later",
        received=", ".join(wrong) or "as expected",
        expected="1 at 22:00 or later in New York, else 0",
        why="A client's offset and the clock change move UTC; the evening stays where it is.",
        mistake="hour-in-utc" if wrong else "",
    )
    answer = service.post("/v1/predictions", flight)
    yield CheckFinding(
        "The challenger answers.",
        answer.status_code == 200,
        sent="POST /v1/predictions with the last of them",
        received=f"{answer.status_code} {answer.text[:200]}",
        expected="200",
    )
