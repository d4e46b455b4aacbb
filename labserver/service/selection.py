"""A model behind a catalogue: of each vector it gets the features that it wants, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.signature import Signature
from labserver.service.ports import Predictor


class ByName:
    """Hands the columns that a model wants to it, in its order."""

    def __init__(self, predictor: Predictor, signature: Signature, places: NDArray[np.intp]) -> None:
        self._predictor, self.signature, self._places = predictor, signature, places
        self.version = getattr(predictor, "version", type(predictor).__name__)

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`labserver.service.ports.Predictor`; ``matrix`` has all features, in catalogue order."""
        return self._predictor.probabilities(matrix.take(self._places, axis=1))


def by_name(predictor: Predictor, catalogue: Catalogue) -> Predictor:
    """The same model for vectors of a catalogue. One that wants exactly these is given back as it is.

    Raises:
        LabError: if the model does not say what it wants, or the catalogue does not have it in this version.
    """
    signature: Signature | None = getattr(predictor, "signature", None)
    if signature is None:
        raise LabError(
            f"The predictor {type(predictor).__name__} does not say which features it wants, and a model that gets "
            "them by place reads seats for miles. Give it a `signature`, such as "
            "`Signature.of(context.catalogue, names)`, or sign its ONNX file: `labserver.pipeline.export.signed`."
        )
    places = signature.places(catalogue)
    if np.array_equal(places, np.arange(len(catalogue.names))):
        return predictor
    return ByName(predictor, signature, places)
