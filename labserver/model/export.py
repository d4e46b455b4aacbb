"""scikit-learn to ONNX, so that no tree changes its mind on the way."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.errors import LabError

TOLERANCE = 1e-6
"""Largest accepted difference of a probability. The sums of leaves are float32 in ONNX and float64 in scikit-learn."""


def export(model: HistGradientBoostingClassifier, features: int) -> bytes:
    """The model as ONNX: input ``features`` of shape (rows, features), float32; output ``probabilities``, (rows, 2).

    scikit-learn tests ``float32 value <= float64 threshold``. ONNX rounds the threshold to float32 first, and where
    that rounds up, a value between the two goes the other way. Rounded down, the comparison is the same for every
    float32 value.
    """
    graph = to_onnx(
        model,
        initial_types=[("features", FloatTensorType([None, features]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    thresholds = np.concatenate(
        [tree[0].nodes["num_threshold"][~tree[0].nodes["is_leaf"].astype(bool)] for tree in model._predictors]
    )
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
    return bytes(graph.SerializeToString())


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold."""
    rounded = thresholds.astype(np.float32)
    above = rounded.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)


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
