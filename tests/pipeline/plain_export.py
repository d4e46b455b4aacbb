"""The export that the project does not use."""

from __future__ import annotations

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import HistGradientBoostingClassifier


def plain(model: HistGradientBoostingClassifier, features: int) -> bytes:
    """The model as skl2onnx exports it, with thresholds rounded to the nearest float32."""
    graph = to_onnx(
        model,
        initial_types=[("features", FloatTensorType([None, features]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    return bytes(graph.SerializeToString())
