"""Lesson 8: compares a predictor with stage 7's model, on rows where a different model shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exercises.checks.result import CheckFinding
from exercises.checks.trees import LEAF, trees_of
from labserver.parts import Context
from labserver.service.decision import ExpectedCost
from labserver.stages.naive.loading import OneRowFrames, verified_experiment

FLIGHTS_COMPARED = 100_000
TOLERANCE = 1e-5
WHY_EQUAL = "An answer that is fast and different is another model, which nobody has measured."

Matrix = NDArray[np.float32]
Probabilities = Callable[[Matrix], NDArray[np.float32]]


class ReferenceModel:
    """The fitted model, its trees, the predictor of stage 7, and held-out flights of shape (flights, features)."""

    def __init__(self, context: Context) -> None:
        experiment = verified_experiment(context)
        signature = context.bundle.signature
        self.names = list(signature.names)
        self.model = experiment["model"]
        self.trees = trees_of(self.model, signature)
        self.naive = OneRowFrames(experiment, signature, 1)
        self.matrix: Matrix = experiment["held_out"][self.names].to_numpy(np.float32)[:FLIGHTS_COMPARED]
        self.threshold = ExpectedCost.from_settings(context.settings).threshold

    def expected(self, matrix: Matrix) -> NDArray[np.float64]:
        """scikit-learn's probabilities, shape (rows,)."""
        answers: NDArray[np.float64] = self.model.predict_proba(pd.DataFrame(matrix, columns=self.names))[:, 1]
        return answers


def away_from_thresholds(reference: ReferenceModel, number: int) -> Matrix:
    """Flights without a value at a threshold: their probabilities do not depend on how thresholds are compared."""
    trees = reference.trees
    inner = trees.left != LEAF
    touching = [
        np.isin(reference.matrix[:, column], trees.threshold[inner & (trees.feature == column)].astype(np.float32))
        for column in range(len(reference.names))
    ]
    rows: Matrix = reference.matrix[~np.any(touching, axis=0)][:number]
    return rows


def at_thresholds(reference: ReferenceModel, *, exact: bool, copies: int) -> tuple[Matrix, list[str]]:
    """Flights, each with one value set to the float32 nearest to a threshold, or to one of that number's neighbours.

    Args:
        reference: the model.
        exact: the thresholds that a float32 holds exactly, or the others.
        copies: flights for each such value.

    Returns:
        The rows, and for each what was set.
    """
    trees = reference.trees
    pairs = np.unique(np.stack([trees.feature, trees.threshold])[:, trees.left != LEAF], axis=1)
    pairs = pairs[:, (pairs[1].astype(np.float32) == pairs[1]) == exact]
    nearest = pairs[1].astype(np.float32)
    below, above = (np.nextafter(nearest, np.float32(side)) for side in (-np.inf, np.inf))
    columns, thresholds = (np.tile(part, 3 * copies) for part in (pairs[0].astype(np.intp), pairs[1]))
    values = np.tile(np.concatenate([nearest, below, above]), copies)
    rows = reference.matrix[np.random.default_rng(8).integers(len(reference.matrix), size=len(values))]
    rows[np.arange(len(rows)), columns] = values
    told = zip(columns.tolist(), values.tolist(), thresholds.tolist(), strict=True)
    return rows, [f"{reference.names[column]} = {value!r}, threshold {limit!r}" for column, value, limit in told]


def equal(
    what: str,
    reference: ReferenceModel,
    rows: Matrix,
    got: NDArray[np.float32],
    *,
    mistake: str,
    told: Sequence[str] = (),
    why: str = WHY_EQUAL,
) -> CheckFinding:
    """A finding on whether probabilities and decisions are those of scikit-learn.

    Args:
        what: the finding's sentence.
        reference: the model.
        rows: the predictor's input.
        got: the predictor's output.
        mistake: the mistake's name, if they are not.
        told: a description of each row.
        why: why it matters.
    """
    expected = reference.expected(rows)
    if got.shape != expected.shape:
        sent, wanted = f"{len(rows):,} rows", f"shape {expected.shape}"
        return CheckFinding(what, False, sent, f"shape {got.shape}", wanted, why, "wrong-shape")
    differs = ~(np.abs(got - expected) <= TOLERANCE)  # NaN differs, too
    flipped = (got > reference.threshold) != (expected > reference.threshold)
    sent, received, wanted = f"{len(rows):,} rows", "the same", f"scikit-learn's probabilities, within {TOLERANCE:g}"
    passed = not (differs | flipped).any()
    if not passed:
        first = int(np.argmax(differs | flipped))
        sent += f"; the first that differs: {told[first] if told else f'row {first} of these'}"
        received = f"{differs.sum():,} differ, {flipped.sum():,} are decided differently; the first: {got[first]:.6f}"
        wanted += f"; the first: {expected[first]:.6f}"
    return CheckFinding(what, passed, sent, received, wanted, why, "" if passed else mistake)
