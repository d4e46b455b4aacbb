"""The predictor: from a matrix of features to probabilities."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from labserver.errors import Damaged
from labserver.features.signature import Signature

SIGNATURE = "features"
"""Key of an ONNX file's metadata, under which it names the features it wants: JSON, see :meth:`Signature.shown`."""


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
        except Exception as error:  # its exceptions have no common base class
            raise Damaged(f"model.onnx is not readable ({error}). Run `labserver build`.") from None
        self._outputs = ["probabilities"]
        self.signature = read_signature(self._session.get_modelmeta().custom_metadata_map)
        """What the file says of itself; None if it was not signed."""
        self.version = hashlib.sha256(model).hexdigest()[:12]
        """Of the file's content, as the manifest has it."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of a late arrival, for each row of shape (rows, features); shape (rows,)."""
        [probabilities] = self._session.run(self._outputs, {"features": matrix})
        column: NDArray[np.float32] = probabilities[:, 1]
        return column


class ThreadedPredictor(OnnxPredictor):
    """The same with several threads, and the same answers, bit for bit.

    It asks for few rows at once: of 50 and more, several threads of ONNX Runtime may add up the trees in another order,
    and an answer in a batch would differ in its last bit from the answer alone.
    """

    ROWS = 49

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`OnnxPredictor.probabilities`."""
        blocks = range(0, max(1, len(matrix)), self.ROWS)
        return np.concatenate([super(ThreadedPredictor, self).probabilities(matrix[n : n + self.ROWS]) for n in blocks])


def read_signature(metadata: Mapping[str, str]) -> Signature | None:
    """The signature in an ONNX file's metadata, or None if there is none.

    Raises:
        Damaged: if it is not one.
    """
    if SIGNATURE not in metadata:
        return None
    try:
        return Signature.read(json.loads(metadata[SIGNATURE]))
    except (ValueError, KeyError, TypeError):
        raise Damaged("model.onnx does not name its features in a readable way. Run `labserver build`.") from None
