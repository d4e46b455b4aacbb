"""scikit-learn to ONNX, so that no tree changes its mind on the way."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.errors import LabError
from labserver.features.signature import Signature
from labserver.model.panel import TOLERANCE as TOLERANCE  # of the comparisons here too
from labserver.model.predictor import SIGNATURE
from labserver.service.ports import Predictor

SOME = 20
"""At most so many flights are asked about at every threshold. Each reaches other thresholds than the next."""


def signed(onnx_model: bytes, signature: Signature) -> bytes:
    """The same ONNX file, with the features that the model wants in its metadata."""
    graph = onnx.load_from_string(onnx_model)
    onnx.helper.set_model_props(graph, {SIGNATURE: json.dumps(signature.shown())})
    return bytes(graph.SerializeToString())


def export(model: HistGradientBoostingClassifier, signature: Signature) -> bytes:
    """The model as ONNX: input ``features`` of shape (rows, features), float32; output ``probabilities``, (rows, 2).

    The file is signed: it names the features that it wants.

    scikit-learn tests ``float32 value <= float64 threshold``. ONNX rounds the threshold to float32 first, and where
    that rounds up, a value between the two goes the other way. Rounded down, the comparison is the same for every
    float32 value.
    """
    graph = to_onnx(
        model,
        initial_types=[("features", FloatTensorType([None, len(signature.features)]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    thresholds = comparisons(model)["num_threshold"]
    below = dict(zip(thresholds.astype(np.float32).tolist(), round_down(thresholds).tolist(), strict=True))
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name == "nodes_values":
                attribute.floats[:] = [below.get(value, value) for value in attribute.floats]
            elif attribute.name == "nodes_values_as_tensor":
                values = numpy_helper.to_array(attribute.t)
                mended = np.array([below.get(v, v) for v in values.tolist()], values.dtype)
                attribute.t.CopyFrom(numpy_helper.from_array(mended, attribute.t.name))
    onnx.checker.check_model(graph)
    return signed(graph.SerializeToString(), signature)


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold."""
    rounded = thresholds.astype(np.float32)
    above = rounded.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)


def comparisons(model: HistGradientBoostingClassifier) -> NDArray[np.void]:
    """scikit-learn's record of every node that compares: ``feature_idx`` with ``num_threshold``, a float64."""
    nodes = np.concatenate([tree.nodes for [tree] in model._predictors])
    inner: NDArray[np.void] = nodes[~nodes["is_leaf"].astype(bool)]
    return inner


def at_thresholds(model: HistGradientBoostingClassifier, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows on which an export that moved a threshold shows it; flights as they come hardly ever do.

    Args:
        model: the trained one.
        matrix: flights of shape (rows, features).

    Returns:
        Each row once for each place at which a tree compares, with the feature that is compared there
        set to the float32 next to the threshold; shape (rows * places, features).
    """
    places = np.unique(comparisons(model)[["feature_idx", "num_threshold"]])
    edges = np.repeat(matrix, len(places), axis=0)
    changed = np.tile(places, len(matrix))
    edges[np.arange(len(edges)), changed["feature_idx"]] = changed["num_threshold"]
    return edges


def check_export(
    model: HistGradientBoostingClassifier, predictor: Predictor, flights: pd.DataFrame, threshold: float
) -> float:
    """Compare an export with its model on all flights and, for some of them, at every threshold.

    Returns the largest difference of a probability on the flights.

    Raises:
        LabError: see :func:`check_equal`.
    """
    matrix = flights.to_numpy(np.float32)
    largest = check_equal(predictor.probabilities(matrix), model.predict_proba(flights)[:, 1], threshold)
    edges = at_thresholds(model, matrix[:: 1 + len(matrix) // SOME])
    theirs = model.predict_proba(pd.DataFrame(edges, columns=flights.columns))[:, 1]
    check_equal(predictor.probabilities(edges), theirs, threshold)
    return largest


def check_equal(
    ours: NDArray[np.float32], theirs: NDArray[np.float64], threshold: float, tolerance: float = TOLERANCE
) -> float:
    """Compare two sets of probabilities of shape (flights,); return the largest difference.

    Raises:
        LabError: if any differs by more than the tolerance, or lies on the other side of the decision threshold.
    """
    difference = np.abs(ours.astype(np.float64) - theirs)
    wrong = int((difference > tolerance).sum())
    flipped = int(((ours > threshold) != (theirs > threshold)).sum())
    if wrong or flipped:
        raise LabError(
            f"The exported model differs from scikit-learn's on {wrong:,} of {len(ours):,} flights "
            f"(by up to {difference.max():.2g}) and decides {flipped:,} differently. The bundle is not written."
        )
    return float(difference.max())
