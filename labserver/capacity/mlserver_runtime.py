"""The flight-delay model for MLServer. Runs in MLServer's own environment, so it imports nothing of this project.

The session has the settings of ``labserver.model.predictor``: only the servers differ, not the arithmetic.
"""

from __future__ import annotations

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):  # type: ignore[misc]  # MLServer is not in our environment
    """One float32 input of shape (rows, features); the probability of a late arrival for each row."""

    async def load(self) -> bool:
        """Load the file that the model's settings name."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a V2 inference request."""
        matrix = NumpyCodec.decode_input(payload.inputs[0])
        [probabilities] = self._session.run(["probabilities"], {"features": matrix})
        output = NumpyCodec.encode_output("probabilities", probabilities[:, 1])
        return InferenceResponse(model_name=self.name, outputs=[output])
