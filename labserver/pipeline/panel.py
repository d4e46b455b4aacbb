"""Makes the golden panel of a model: training rows as they came, and rows on both sides of the trees' thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.model.panel import GoldenPanel
from labserver.pipeline.export import comparisons

ORDINARY = 100
"""Training rows as they came, evenly spread over the training window."""
PLACES = 100
"""Thresholds at most. Each has three rows."""
TRIED = 4
"""Every fourth ordinary row is tried at every threshold: each reaches different ones. All are, where it is rounded."""
AT_ONCE = 100
"""Thresholds that are tried in one call, so that memory does not grow with the trees."""


def golden_panel(model: HistGradientBoostingClassifier, train: pd.DataFrame) -> GoldenPanel:
    """The panel of a trained model.

    Flights as they come hardly ever have a value on a threshold, so an export that moved thresholds passes them. For a
    threshold the panel has one training row three times: with the float32 next to the threshold, and with the
    float32 below and above that one. Thresholds that no float32 equals come first, because an export has to round
    them; then those at which an answer changes most.

    Args:
        model: the trained one.
        train: the training rows, one float32 column for each feature that the model wants, in its order.
    """
    ordinary = train.to_numpy(np.float32)[:: 1 + (len(train) - 1) // ORDINARY]
    places = np.unique(comparisons(model)[["feature_idx", "num_threshold"]])
    rounded = places["num_threshold"].astype(np.float32) != places["num_threshold"]
    first = _most_telling(model, ordinary, places[rounded])[:PLACES]
    then = _most_telling(model, ordinary[::TRIED], places[~rounded])[: PLACES - len(first)]
    rows = np.concatenate([ordinary, *first, *then])
    return GoldenPanel(rows, _answers(model, rows).astype(np.float32))


def around(
    rows: NDArray[np.float32], features: NDArray[np.intp], thresholds: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Each row three times for each threshold, with its feature below, next to and above it.

    Args:
        rows: shape (rows, features), float32.
        features: place of the feature that is compared, shape (places,).
        thresholds: shape (places,).

    Returns:
        Shape (places, rows, 3, features).
    """
    near = thresholds.astype(np.float32)
    values = np.stack([np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))], axis=1)
    three = np.tile(rows[np.newaxis, :, np.newaxis], (len(near), 1, 3, 1))
    three[np.arange(len(near)), :, :, features] = values[:, np.newaxis]
    return three


def _most_telling(
    model: HistGradientBoostingClassifier, rows: NDArray[np.float32], places: NDArray[np.void]
) -> NDArray[np.float32]:
    """For each threshold the row whose answer changes most there, those that change most first.

    A row tells of a threshold only if it reaches the comparison.

    Returns:
        Shape (places, 3, features).
    """
    chosen, changes = [np.empty((0, 3, rows.shape[1]), np.float32)], [np.empty(0)]
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        three = around(rows, some["feature_idx"].astype(np.intp), some["num_threshold"])
        answers = _answers(model, three.reshape(-1, rows.shape[1])).reshape(three.shape[:3])
        change = np.ptp(answers, axis=2)
        chosen.append(three[np.arange(len(some)), change.argmax(axis=1)])
        changes.append(change.max(axis=1))
    return np.concatenate(chosen)[np.argsort(-np.concatenate(changes), kind="stable")]


def _answers(model: HistGradientBoostingClassifier, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    answers: NDArray[np.float64] = model.predict_proba(pd.DataFrame(rows, columns=model.feature_names_in_))[:, 1]
    return answers
