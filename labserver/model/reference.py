"""What training saw, in numbers small enough to ship: the yardstick of the ranges and of drift."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue, Range, Trained

BINS = 10


def what_training_saw(matrix: NDArray[np.float32], catalogue: Catalogue) -> dict[str, Trained]:
    """Range and median of each column of shape (rows, features); missing and impossible values are left out."""
    trained = {}
    for position, feature in enumerate(catalogue.features):
        column = matrix[:, position]
        good = column[(column >= feature.possible.low) & (column <= feature.possible.high)]
        trained[feature.name] = Trained(
            Range(float(good.min()), float(good.max())), float(np.median(good).astype(np.float32))
        )
    return trained


def reference_statistics(
    raw: NDArray[np.float32],
    used: NDArray[np.float32],
    probability: NDArray[np.float32],
    catalogue: Catalogue,
) -> dict[str, Any]:
    """Share missing (``raw``) and a histogram of what the model saw (``used``), for each feature and for the score.

    Both matrices have shape (rows, features); ``probability`` has shape (rows,). Edges are the training deciles,
    repeated ones left out, so a feature with few values has fewer bins.
    """
    features = {
        name: {"missing": round(float(np.isnan(raw[:, i]).mean()), 6), **histogram(used[:, i])}
        for i, name in enumerate(catalogue.names)
    }
    return {"rows": len(used), "features": features, "score": histogram(probability)}


def histogram(values: NDArray[np.float32]) -> dict[str, Any]:
    """Inner edges and the share of values in each bin; the outer bins are open."""
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS)).astype(np.float32)
    shares = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / len(values)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(share), 6) for share in shares],
        "mean": round(float(values.astype(np.float64).mean()), 6),
    }
