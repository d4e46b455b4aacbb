"""The golden panel: rows with the trained model's own answers, which a model must give before it may serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Damaged

TOLERANCE = 1e-6
"""Largest accepted difference of a probability. The sums of leaves are float32 in ONNX and float64 in scikit-learn."""


@dataclass(frozen=True)
class GoldenPanel:
    """Rows and the answers to them.

    Attributes:
        rows: shape (rows, features), float32, in the model's own order of features.
        probabilities: of a late arrival, shape (rows,), float32: what scikit-learn computes in float64, rounded. They
            come from the trained model and not from its export, so that a wrong export does not agree with them.
    """

    rows: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @classmethod
    def read(cls, data: Mapping[str, Any], features: int) -> GoldenPanel:
        """From the form of :meth:`shown`, for a model of so many features.

        Raises:
            ValueError: if it has no row, a row of other length, or a value that is no number or not finite.
            KeyError: if rows or probabilities are missing.
            TypeError: if they are no lists of numbers.
        """
        rows = np.array(data["rows"], np.float32)
        probabilities = np.array(data["probabilities"], np.float32)
        if not len(rows) or rows.shape != (len(probabilities), features) or probabilities.ndim != 1:
            raise ValueError(f"rows of shape {rows.shape}, probabilities of shape {probabilities.shape}")
        if not (np.isfinite(rows).all() and np.isfinite(probabilities).all()):
            raise ValueError("not finite")
        return cls(rows, probabilities)

    def shown(self) -> dict[str, Any]:
        """As JSON has it. Every float32 is a float64 too, and JSON keeps those to the last bit."""
        return {"rows": self.rows.tolist(), "probabilities": self.probabilities.tolist()}

    def check(self, answers: NDArray[np.float32]) -> None:
        """Compare a model's answers to :attr:`rows`, shape (rows,), with the panel's.

        Raises:
            Damaged: if one differs by more than :data:`TOLERANCE`; says how many do, and by how much at most.
        """
        difference = np.abs(answers.astype(np.float64) - self.probabilities)
        wrong = int((~(difference <= TOLERANCE)).sum())  # an answer that is NaN is wrong
        if wrong:
            raise Damaged(
                f"The model answers {wrong:,} of the {len(answers):,} rows of the bundle's golden panel differently "
                f"from the model that was trained, by up to {difference.max():.2g}. Run `labserver build`."
            )
