"""How good a set of probabilities is."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from labserver.model.calibration import expected_calibration_error


class Scores(TypedDict):
    """Ranking (AUC: higher is better), and three measures of the probabilities themselves (lower is better)."""

    auc: float
    log_loss: float
    brier: float
    calibration_error: float


def scores(late: NDArray[np.bool_], probability: NDArray[np.float64]) -> Scores:
    """All four measures. Both arrays have shape (flights,)."""
    probability = probability.astype(np.float64)
    return Scores(
        auc=round(float(roc_auc_score(late, probability)), 5),
        log_loss=round(float(log_loss(late, probability)), 5),
        brier=round(float(brier_score_loss(late, probability)), 5),
        calibration_error=round(expected_calibration_error(late, probability), 5),
    )


def calibration_table(late: NDArray[np.bool_], probability: NDArray[np.float64]) -> list[dict[str, float]]:
    """Predicted and observed share of late flights for each tenth of the flights, from safest to riskiest."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "flights": len(part),
            "predicted": round(float(probability[part].mean()), 4),
            "observed": round(float(late[part].mean()), 4),
        }
        for part in np.array_split(order, 10)
    ]
