"""Lesson 8: the same probabilities to the last flight, then the time of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from exercises.checks.attempt import Attempt
from exercises.checks.calls import DONE_IN_A_CALL, interleaved, watched
from exercises.checks.doubt import in_time
from exercises.checks.equality import (
    TOLERANCE,
    Probabilities,
    ReferenceModel,
    at_thresholds,
    away_from_thresholds,
    equal,
)
from exercises.checks.result import CheckFinding

LEAST_SPEEDUP = 20.0
TIMING_ROUNDS = 7

PredictorCheck = Callable[[Probabilities, ReferenceModel], CheckFinding]


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """Equality first: a wrong answer cannot be fast. Then time, then everything at once, then the live service."""
    context = attempt.context()
    probabilities: Probabilities = attempt.own()["predictor"](context, 1).probabilities
    reference = ReferenceModel(context)
    for step in (shape, per_call, away, exact, between, kept, threads(attempt.file)):
        found = step(probabilities, reference)
        yield found
        if not found.passed:
            return
    naive, own = times(probabilities, reference)
    yield f"{naive / own:.0f} times as fast as a DataFrame a row: {own * 1e6:.0f} µs against {naive * 1e3:.1f} ms"
    passed = naive / own >= LEAST_SPEEDUP
    found = CheckFinding(
        "One row takes at most a twentieth of the time.",
        passed,
        sent=f"one row, again and again, in {TIMING_ROUNDS} rounds: the fastest call counts",
        received=f"{own * 1e6:,.0f} µs; a DataFrame takes {naive * 1e6:,.0f} µs: {naive / own:.1f} times",
        expected=f"at least {LEAST_SPEEDUP:g} times",
        why="All requests of a worker wait for this. What can be made once is not made in a call.",
        mistake="" if passed else "too-slow",
    )
    yield from in_time([found])
    if passed:
        yield (found := everyone(probabilities, reference))
        if found.passed:
            yield live(attempt, reference)


def shape(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """One flight in, one probability out."""
    got = np.asarray(probabilities(reference.matrix[:1]))
    [expected] = reference.expected(reference.matrix[:1])
    wanted = got.shape == (1,) and got.dtype == np.float32
    return CheckFinding(
        "One row in gives one float32 out.",
        wanted,
        sent=f"a matrix of shape (1, {len(reference.names)}), float32",
        received=f"shape {got.shape}, {got.dtype}",
        expected=f"shape (1,), float32: [{expected:.6f}]",
        why="The service takes the first entry for the probability of a late arrival.",
        mistake="" if wanted else "wrong-shape",
    )


def per_call(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """A finding on a call's work besides arithmetic. The first call does not count: it can import modules."""
    with watched() as seen:
        probabilities(reference.matrix[:1])
    mistake, what = next(((name, what) for name, what in DONE_IN_A_CALL if name in seen), ("", "arithmetic"))
    return CheckFinding(
        "A call is arithmetic and nothing else.",
        not mistake,
        sent="one row, after another one",
        received=what,
        expected="what can be made once is made in `predictor`; NumPy or Python does the rest",
        why="Each of these takes longer than the sixty trees, and every request pays for it.",
        mistake=mistake,
    )


def away(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """Flights for which only the trees matter."""
    rows = away_from_thresholds(reference, 500)
    got = np.asarray(probabilities(rows))
    other = got.shape == (500,) and np.allclose(got, 1 - reference.expected(rows), atol=TOLERANCE)
    what = "Flights away from any threshold get the same probability."
    return equal(what, reference, rows, got, mistake="wrong-class" if other else "other-probabilities")


def exact(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """Values at thresholds that a float32 holds."""
    rows, told = at_thresholds(reference, exact=True, copies=1)
    return equal(
        "A value equal to a threshold goes left, as it does in scikit-learn.",
        reference,
        rows,
        np.asarray(probabilities(rows)),
        mistake="equal-goes-right",
        told=told,
        why="8:00 is a threshold, and a time at which many flights leave.",
    )


def between(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """Values at thresholds that lie between two float32."""
    rows, told = at_thresholds(reference, exact=False, copies=20)
    return equal(
        "A value beside a threshold that no float32 holds stays on its side.",
        reference,
        rows,
        np.asarray(probabilities(rows)),
        mistake="thresholds-rounded",
        told=told,
        why="Rounded to the nearest float32, such a threshold may step over the value. Then the tree changes its mind "
        "for every flight with that value, and no test on random numbers sees it.",
    )


def kept(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """The first answer, after the second question."""
    first = probabilities(reference.matrix[:1])
    before = first.tolist()
    probabilities(reference.matrix[1:2])
    passed = first.tolist() == before
    return CheckFinding(
        "An answer stays as it was when the next question comes.",
        passed,
        sent="a row, then another one",
        received=f"the first answer was {before}, and is now {first.tolist()}",
        expected="the same as before: memory may be kept for what is between, not for what is handed out",
        why="The service reads the answer a moment later. By then it may be the next passenger's.",
        mistake="" if passed else "answer-overwritten",
    )


def threads(file: Path) -> PredictorCheck:
    """Runs a second call between any two lines of a call, which in production happens by chance."""

    def run(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
        mine, other = reference.matrix[:1], reference.matrix[1:2]
        [expected] = reference.expected(mine).tolist()
        got = float(interleaved(lambda: probabilities(mine), lambda: probabilities(other), file)[0])
        passed = abs(got - expected) <= TOLERANCE
        return CheckFinding(
            "Threads that ask at once do not disturb each other.",
            passed,
            sent="a row, and between the lines of its answer another row from another thread",
            received=f"{got:.6f}",
            expected=f"{expected:.6f}, whatever others ask meanwhile",
            why="Batches are answered in a pool of threads. Memory between calls must be each thread's own, or locked.",
            mistake="" if passed else "shared-buffer",
        )

    return run


def times(probabilities: Probabilities, reference: ReferenceModel) -> tuple[float, float]:
    """Seconds for one row, naive and the learner's: the fastest call of several rounds, in which both take turns."""
    row = reference.matrix[:1]

    def least(function: Probabilities, calls: int) -> float:
        seconds = []
        for _ in range(calls):
            began = time.perf_counter()
            function(row)
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    pairs = [(least(reference.naive.probabilities, 5), least(probabilities, 50)) for _ in range(TIMING_ROUNDS)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def everyone(probabilities: Probabilities, reference: ReferenceModel) -> CheckFinding:
    """All flights in one call."""
    what = f"{len(reference.matrix):,} flights get the same probability and decision."
    got = np.asarray(probabilities(reference.matrix))
    return equal(what, reference, reference.matrix, got, mistake="other-probabilities")


def live(attempt: Attempt, reference: ReferenceModel) -> CheckFinding:
    """The service with this predictor."""
    flight = attempt.flights("2013-10-15", 1)[0]
    with attempt.service() as service:
        vector = service.post("/v1/features/vector", flight)
        answer = service.post("/v1/predictions", flight)
    served = (vector.status_code, answer.status_code) == (200, 200)
    received, expected = f"{vector.status_code} and {answer.status_code}", 0.0
    if served:
        row = np.array([[value["value"] for value in vector.json()["values"]]], np.float32)
        [expected] = reference.expected(row).tolist()
        received = f"{answer.json()['probability']:.6f}"
        served = abs(answer.json()["probability"] - expected) <= TOLERANCE
    return CheckFinding(
        "The live service answers with it.",
        served,
        sent="POST /v1/features/vector and /v1/predictions with a real flight",
        received=received,
        expected=f"{expected:.6f}, scikit-learn's answer to that vector" if expected else "200 and 200",
        why="What is fast in a loop must still be right behind the rest of the service.",
    )
