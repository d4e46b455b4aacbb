"""Lesson 8: the same probabilities to the last flight, then the time of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from exercises.attempt import Attempt
from exercises.checks.calls import DONE, interleaved, watched
from exercises.checks.equality import TOLERANCE, Known, Probabilities, at_thresholds, away_from_thresholds, equal
from exercises.result import Finding
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import load_bundle
from labserver.parts import Context

RATIO = 20.0
ROUNDS = 7

Step = Callable[[Probabilities, Known], Finding]


def check(attempt: Attempt) -> Iterator[Finding | str]:
    """Equality first: a wrong answer cannot be fast. Then time, then everything at once, then the live service."""
    bundle = load_bundle(attempt.settings.bundle)
    context = Context(attempt.settings, bundle, CATALOGUE.with_trained(bundle.catalogue))
    probabilities: Probabilities = attempt.own()["predictor"](context, 1).probabilities
    known = Known(context)
    for step in (shape, per_call, away, exact, between, kept, threads(attempt.file)):
        found = step(probabilities, known)
        yield found
        if not found.passed:
            return
    naive, own = times(probabilities, known)
    yield f"{naive / own:.0f} times as fast as a DataFrame a row: {own * 1e6:.0f} µs against {naive * 1e3:.1f} ms"
    passed = naive / own >= RATIO
    yield Finding(
        "One row takes at most a twentieth of the time.",
        passed,
        sent=f"one row, again and again, in {ROUNDS} rounds: the fastest call counts",
        received=f"{own * 1e6:,.0f} µs; a DataFrame takes {naive * 1e6:,.0f} µs: {naive / own:.1f} times",
        expected=f"at least {RATIO:g} times",
        why="All requests of a worker stand in line for this. What can be made once is not made in a call.",
        mistake="" if passed else "too-slow",
    )
    if passed:
        yield (found := everyone(probabilities, known))
        if found.passed:
            yield live(attempt, known)


def shape(probabilities: Probabilities, known: Known) -> Finding:
    """One flight in, one probability out."""
    got = np.asarray(probabilities(known.matrix[:1]))
    [expected] = known.expected(known.matrix[:1])
    wanted = got.shape == (1,) and got.dtype == np.float32
    return Finding(
        "One row in gives one float32 out.",
        wanted,
        sent=f"a matrix of shape (1, {len(known.names)}), float32",
        received=f"shape {got.shape}, {got.dtype}",
        expected=f"shape (1,), float32: [{expected:.6f}]",
        why="The service takes the first entry for the probability of a late arrival.",
        mistake="" if wanted else "wrong-shape",
    )


def per_call(probabilities: Probabilities, known: Known) -> Finding:
    """What a call does besides arithmetic. The first call is not looked at: it may import what it needs."""
    with watched() as seen:
        probabilities(known.matrix[:1])
    mistake, what = next(((name, what) for name, what in DONE if name in seen), ("", "arithmetic"))
    return Finding(
        "A call is arithmetic and nothing else.",
        not mistake,
        sent="one row, after another one",
        received=what,
        expected="what can be made once is made in `predictor`; NumPy or Python does the rest",
        why="Each of these takes longer than the sixty trees, and every request pays for it.",
        mistake=mistake,
    )


def away(probabilities: Probabilities, known: Known) -> Finding:
    """Flights for which only the trees matter."""
    rows = away_from_thresholds(known, 500)
    got = np.asarray(probabilities(rows))
    other = got.shape == (500,) and np.allclose(got, 1 - known.expected(rows), atol=TOLERANCE)
    what = "Flights away from any threshold get the same probability."
    return equal(what, known, rows, got, mistake="wrong-class" if other else "other-probabilities")


def exact(probabilities: Probabilities, known: Known) -> Finding:
    """Values at thresholds that a float32 holds."""
    rows, told = at_thresholds(known, exact=True, copies=1)
    return equal(
        "A value equal to a threshold goes left, as it does in scikit-learn.",
        known,
        rows,
        np.asarray(probabilities(rows)),
        mistake="equal-goes-right",
        told=told,
        why="8:00 is a threshold, and a time at which many flights leave.",
    )


def between(probabilities: Probabilities, known: Known) -> Finding:
    """Values at thresholds that lie between two float32."""
    rows, told = at_thresholds(known, exact=False, copies=20)
    return equal(
        "A value beside a threshold that no float32 holds stays on its side.",
        known,
        rows,
        np.asarray(probabilities(rows)),
        mistake="thresholds-rounded",
        told=told,
        why="Rounded to the nearest float32, such a threshold may step over the value. Then the tree changes its mind "
        "for every flight with that value, and no test on random numbers sees it.",
    )


def kept(probabilities: Probabilities, known: Known) -> Finding:
    """The first answer, after the second question."""
    first = probabilities(known.matrix[:1])
    before = first.tolist()
    probabilities(known.matrix[1:2])
    passed = first.tolist() == before
    return Finding(
        "An answer stays as it was when the next question comes.",
        passed,
        sent="a row, then another one",
        received=f"the first answer was {before}, and is now {first.tolist()}",
        expected="the same as before: memory may be kept for what is between, not for what is handed out",
        why="The service reads the answer a moment later. By then it may be the next passenger's.",
        mistake="" if passed else "answer-overwritten",
    )


def threads(file: Path) -> Step:
    """Between any two lines of an answer another thread asks and is answered: what chance does now and then."""

    def run(probabilities: Probabilities, known: Known) -> Finding:
        mine, other = known.matrix[:1], known.matrix[1:2]
        [expected] = known.expected(mine).tolist()
        got = float(interleaved(lambda: probabilities(mine), lambda: probabilities(other), file)[0])
        passed = abs(got - expected) <= TOLERANCE
        return Finding(
            "Threads that ask at once do not disturb each other.",
            passed,
            sent="a row, and between the lines of its answer another row from another thread",
            received=f"{got:.6f}",
            expected=f"{expected:.6f}, whatever others ask meanwhile",
            why="Batches are answered in a pool of threads. Memory between calls must be each thread's own, or locked.",
            mistake="" if passed else "shared-buffer",
        )

    return run


def times(probabilities: Probabilities, known: Known) -> tuple[float, float]:
    """Seconds for one row, naive and the learner's: the fastest call of several rounds, in which both take turns."""
    row = known.matrix[:1]

    def least(function: Probabilities, calls: int) -> float:
        seconds = []
        for _ in range(calls):
            began = time.perf_counter()
            function(row)
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    pairs = [(least(known.naive.probabilities, 5), least(probabilities, 50)) for _ in range(ROUNDS)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def everyone(probabilities: Probabilities, known: Known) -> Finding:
    """All flights in one call."""
    what = f"{len(known.matrix):,} flights get the same probability and decision."
    got = np.asarray(probabilities(known.matrix))
    return equal(what, known, known.matrix, got, mistake="other-probabilities")


def live(attempt: Attempt, known: Known) -> Finding:
    """The service with this predictor."""
    flight = attempt.flights("2013-10-15", 1)[0]
    with attempt.service() as service:
        vector = service.post("/v1/features/vector", flight)
        answer = service.post("/v1/predictions", flight)
    served = (vector.status_code, answer.status_code) == (200, 200)
    received, expected = f"{vector.status_code} and {answer.status_code}", 0.0
    if served:
        row = np.array([[value["value"] for value in vector.json()["values"]]], np.float32)
        [expected] = known.expected(row).tolist()
        received = f"{answer.json()['probability']:.6f}"
        served = abs(answer.json()["probability"] - expected) <= TOLERANCE
    return Finding(
        "The live service answers with it.",
        served,
        sent="POST /v1/features/vector and /v1/predictions with a real flight",
        received=received,
        expected=f"{expected:.6f}, scikit-learn's answer to that vector" if expected else "200 and 200",
        why="What is fast in a loop must still be right behind the rest of the service.",
    )
