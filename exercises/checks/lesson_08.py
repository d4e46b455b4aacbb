"""Lesson 8: the same probabilities to the last flight, then the time of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exercises.attempt import Attempt
from exercises.checks.calls import DONE, interleaved, watched
from exercises.result import Finding
from exercises.trees import LEAF, trees_of
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import load_bundle
from labserver.naive.loading import OneRowFrames, verified_experiment
from labserver.parts import Context
from labserver.service.decision import ExpectedCost

FLIGHTS = 100_000
TOLERANCE = 1e-5
RATIO = 20.0
ROUNDS = 7

Matrix = NDArray[np.float32]
Probabilities = Callable[[Matrix], NDArray[np.float32]]


class Known:
    """The model as stage 7 has it, and real flights."""

    def __init__(self, context: Context) -> None:
        experiment = verified_experiment(context)
        self.names = list(context.catalogue.names)
        self.model = experiment["model"]
        self.trees = trees_of(self.model)
        self.naive = OneRowFrames(experiment, self.names, 1)
        self.matrix: Matrix = experiment["held_out"][self.names].to_numpy(np.float32)[:FLIGHTS]
        self.threshold = ExpectedCost.from_settings(context.settings).threshold

    def expected(self, matrix: Matrix) -> NDArray[np.float64]:
        """scikit-learn's probabilities, shape (rows,)."""
        answers: NDArray[np.float64] = self.model.predict_proba(pd.DataFrame(matrix, columns=self.names))[:, 1]
        return answers


def check(attempt: Attempt) -> Iterator[Finding | str]:
    """Equality first: a wrong answer cannot be fast. Then time, then everything at once, then the live service."""
    bundle = load_bundle(attempt.settings.bundle)
    context = Context(attempt.settings, bundle, CATALOGUE.with_trained(bundle.catalogue))
    probabilities: Probabilities = attempt.own()["predictor"](context, 1).probabilities
    known = Known(context)
    for step in (shape, per_call, away, *at_thresholds(known), kept, threads(attempt.file)):
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
    """Flights of which no value is at a threshold: here, how thresholds are compared plays no part."""
    trees = known.trees
    inner = trees.left != LEAF
    touching = [
        np.isin(known.matrix[:, column], trees.threshold[inner & (trees.feature == column)].astype(np.float32))
        for column in range(len(known.names))
    ]
    rows = known.matrix[~np.any(touching, axis=0)][:2000]
    got, expected = probabilities(rows), known.expected(rows)
    found = equal("Flights away from any threshold get the same probability.", rows, got, expected, known)
    return found("wrong-class" if np.allclose(got, 1 - expected, atol=TOLERANCE) else "other-probabilities")


Step = Callable[[Probabilities, Known], Finding]


def at_thresholds(known: Known) -> tuple[Step, Step]:
    """Real flights, each with one value set to a threshold of some node, or to the float32 next to it."""
    trees = known.trees
    inner = np.flatnonzero(trees.left != LEAF)
    nearest = trees.threshold[inner].astype(np.float32)
    exact = nearest.astype(np.float64) == trees.threshold[inner]
    sides = (nearest, np.nextafter(nearest, np.float32(-np.inf)), np.nextafter(nearest, np.float32(np.inf)))
    seed = np.random.default_rng(8)

    def step(chosen: NDArray[np.bool_], copies: int, what: str, why: str, mistake: str) -> Step:
        columns, values = trees.feature[inner][chosen], [side[chosen] for side in sides]
        rows = known.matrix[seed.integers(len(known.matrix), size=copies * 3 * len(columns))]
        rows[np.arange(len(rows)), np.tile(columns, copies * 3)] = np.tile(np.concatenate(values), copies)

        def run(probabilities: Probabilities, known: Known) -> Finding:
            return equal(what, rows, probabilities(rows), known.expected(rows), known, why)(mistake)

        return run

    return (
        step(
            exact,
            1,
            "A value equal to a threshold goes left, as it does in scikit-learn.",
            "8:00 is a threshold, and a time at which many flights leave.",
            "equal-goes-right",
        ),
        step(
            ~exact,
            20,
            "A value beside a threshold that no float32 holds stays on its side.",
            "Rounded to the nearest float32, such a threshold may step over the value. Then the tree changes its mind "
            "for every flight with that value, and no test on random numbers sees it.",
            "thresholds-rounded",
        ),
    )


def equal(
    what: str, rows: Matrix, got: NDArray[np.float32], expected: NDArray[np.float64], known: Known, why: str = ""
) -> Callable[[str], Finding]:
    """A finding on probabilities, once it is told the name of the mistake."""
    got = np.asarray(got, np.float64)
    same_shape = got.shape == expected.shape
    difference = np.abs(got - expected) if same_shape else np.full(len(expected), np.inf)
    wrong = ~(difference <= TOLERANCE)  # NaN is wrong, too
    flipped = (got > known.threshold) != (expected > known.threshold) if same_shape else wrong
    first = int(np.argmax(wrong | flipped))
    received = "the same probabilities and decisions"
    if not same_shape:
        received = f"shape {got.shape} for {len(rows):,} rows"
    elif wrong.any() or flipped.any():
        received = f"{wrong.sum():,} of {len(rows):,} differ, {flipped.sum():,} are decided differently; the first: "
        received += f"{got[first]:.6f}"
    passed = received.startswith("the same")

    def named(mistake: str) -> Finding:
        return Finding(
            what,
            passed,
            sent=f"{len(rows):,} rows" + ("" if passed else f"; the first: {rows[first].tolist()}"),
            received=received,
            expected=f"scikit-learn's, within {TOLERANCE:g}"
            + ("" if passed else f"; the first: {expected[first]:.6f}"),
            why=why or "An answer that is fast and different is another model, which nobody has measured.",
            mistake="" if passed else mistake,
        )

    return named


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
    expected = known.expected(known.matrix)
    found = equal(
        f"{len(known.matrix):,} flights get the same probability and decision.",
        known.matrix,
        probabilities(known.matrix),
        expected,
        known,
    )
    return found("other-probabilities")


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
