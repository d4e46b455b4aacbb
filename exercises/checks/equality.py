"""Lesson 8: the model as stage 7 has it, and rows on which another one gives itself away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exercises.result import Finding
from exercises.trees import LEAF, trees_of
from labserver.naive.loading import OneRowFrames, verified_experiment
from labserver.parts import Context
from labserver.service.decision import ExpectedCost

FLIGHTS = 100_000
TOLERANCE = 1e-5
EVERYDAY = "An answer that is fast and different is another model, which nobody has measured."

Matrix = NDArray[np.float32]
Probabilities = Callable[[Matrix], NDArray[np.float32]]


class Known:
    """The fitted model, its trees, the predictor of stage 7, and held-out flights of shape (flights, features)."""

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


def away_from_thresholds(known: Known, number: int) -> Matrix:
    """Flights of which no value is at a threshold: how thresholds are compared plays no part in their probabilities."""
    trees = known.trees
    inner = trees.left != LEAF
    touching = [
        np.isin(known.matrix[:, column], trees.threshold[inner & (trees.feature == column)].astype(np.float32))
        for column in range(len(known.names))
    ]
    rows: Matrix = known.matrix[~np.any(touching, axis=0)][:number]
    return rows


def at_thresholds(known: Known, *, exact: bool, copies: int) -> tuple[Matrix, list[str]]:
    """Flights, each with one value set to the float32 nearest to a threshold, or to one of that number's neighbours.

    Args:
        known: the model.
        exact: the thresholds that a float32 holds exactly, or the others.
        copies: flights for each such value.

    Returns:
        The rows, and for each what was set.
    """
    trees = known.trees
    pairs = np.unique(np.stack([trees.feature, trees.threshold])[:, trees.left != LEAF], axis=1)
    pairs = pairs[:, (pairs[1].astype(np.float32) == pairs[1]) == exact]
    nearest = pairs[1].astype(np.float32)
    below, above = (np.nextafter(nearest, np.float32(side)) for side in (-np.inf, np.inf))
    columns, thresholds = (np.tile(part, 3 * copies) for part in (pairs[0].astype(np.intp), pairs[1]))
    values = np.tile(np.concatenate([nearest, below, above]), copies)
    rows = known.matrix[np.random.default_rng(8).integers(len(known.matrix), size=len(values))]
    rows[np.arange(len(rows)), columns] = values
    told = zip(columns.tolist(), values.tolist(), thresholds.tolist(), strict=True)
    return rows, [f"{known.names[column]} = {value!r}, threshold {limit!r}" for column, value, limit in told]


def equal(
    what: str,
    known: Known,
    rows: Matrix,
    got: NDArray[np.float32],
    *,
    mistake: str,
    told: Sequence[str] = (),
    why: str = EVERYDAY,
) -> Finding:
    """Whether probabilities and decisions are scikit-learn's.

    Args:
        what: the finding's sentence.
        known: the model.
        rows: what the predictor was given.
        got: what it gave.
        mistake: the mistake's name, if they are not.
        told: what there is to say of each row.
        why: why it matters.
    """
    expected = known.expected(rows)
    if got.shape != expected.shape:
        sent, wanted = f"{len(rows):,} rows", f"shape {expected.shape}"
        return Finding(what, False, sent, f"shape {got.shape}", wanted, why, "wrong-shape")
    differs = ~(np.abs(got - expected) <= TOLERANCE)  # NaN differs, too
    flipped = (got > known.threshold) != (expected > known.threshold)
    sent, received, wanted = f"{len(rows):,} rows", "the same", f"scikit-learn's probabilities, within {TOLERANCE:g}"
    passed = not (differs | flipped).any()
    if not passed:
        first = int(np.argmax(differs | flipped))
        sent += f"; the first that differs: {told[first] if told else f'row {first} of these'}"
        received = f"{differs.sum():,} differ, {flipped.sum():,} are decided differently; the first: {got[first]:.6f}"
        wanted += f"; the first: {expected[first]:.6f}"
    return Finding(what, passed, sent, received, wanted, why, "" if passed else mistake)
