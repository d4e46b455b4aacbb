"""Calibration error, with NumPy alone: the build and the running service measure with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def expected_calibration_error(
    late: NDArray[np.bool_], probability: NDArray[np.floating[Any]], bins: int = 10
) -> float:
    """Mean distance between predicted and observed share, over bins with equally many flights.

    Args:
        late: shape (flights,).
        probability: shape (flights,).
        bins: number of bins.

    Source: Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015,
    with bins of equal count, which a skewed set of probabilities needs.
    """
    order = np.argsort(probability, kind="stable")
    gaps = [
        abs(probability[part].mean() - late[part].mean()) * len(part)
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(sum(gaps) / len(order))
