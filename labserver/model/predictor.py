"""From a matrix of features to probabilities."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from labserver.errors import Damaged


class Predictor(Protocol):
    """A model, ready to answer."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of a late arrival for each row of shape (rows, features); shape (rows,)."""


class OnnxPredictor:
    """The exported model in ONNX Runtime. Thread-safe."""

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        """Load the model.

        Args:
            model: the ONNX file's content.
            threads: threads for the arithmetic of one call. One row has no work for a second one, and threads that
                spin while they wait take the processor from the requests.

        Raises:
            Damaged: if it is no ONNX model.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its kinds have no base of their own
            raise Damaged(f"model.onnx is not readable ({error}). Run `labserver build`.") from None
        self._outputs = ["probabilities"]

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`Predictor`."""
        [probabilities] = self._session.run(self._outputs, {"features": matrix})
        column: NDArray[np.float32] = probabilities[:, 1]
        return column
