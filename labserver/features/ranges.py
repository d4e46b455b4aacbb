"""What happens to a value that is impossible, or that training never saw. The ranges stand in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labserver.errors import LabError, Refused
from labserver.features.catalogue import Catalogue

Action = Literal["imputed", "clipped"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One value that was replaced before the model saw it."""

    feature: str
    action: Action
    received: float | None
    used: float


class CatalogueRanges:
    """The ranges of the catalogue, for one vector or a whole year, by the same few array operations."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        features = catalogue.features
        self._low, self._high = catalogue.low, catalogue.high
        self._clip_impossible = np.array([f.impossible == "clip" for f in features])
        clipped = [f.trained.seen if f.trained and f.unseen == "clip" else f.possible for f in features]
        self._seen_low = np.array([seen.low for seen in clipped], np.float32)
        self._seen_high = np.array([seen.high for seen in clipped], np.float32)

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Impossible values become missing (or are clipped, where the catalogue says so); unseen ones are clipped."""
        if ((matrix >= self._seen_low) & (matrix <= self._seen_high)).all():
            return  # as it is for most requests; a missing value is not inside
        impossible = (matrix < self._low) | (matrix > self._high)
        impossible &= ~self._clip_impossible
        matrix[impossible] = np.nan
        # NaN compares as neither smaller nor larger: missing stays missing.
        np.clip(matrix, self._seen_low, self._seen_high, out=matrix)

    def check_override(self, name: str, value: float) -> None:
        """Refuse what cannot physically be. A client that sends it has a fault that only the client can mend."""
        feature = self._catalogue[name]
        if not feature.possible.holds(value):
            raise Refused(
                f"overrides.{name}",
                f"{value:g} {feature.unit} cannot be",
                f"{feature.possible} {feature.unit}",
            )


class TypicalValues:
    """Fills a gap with the training median of its feature, as training did."""

    def __init__(self, catalogue: Catalogue) -> None:
        # What is made from the request is never missing.
        missing = [f.name for f in catalogue.features if f.trained is None and f.request is None]
        if missing:
            raise LabError(
                f"Nothing is known of what training saw of {', '.join(missing)}. Run `labserver build`, or "
                "`labserver build --keep-model` for a model that does not want it."
            )
        self._names = catalogue.names
        self._typical = catalogue.typical

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Afterwards every value of shape (rows, features) is finite.

        Raises:
            LabError: for a matrix of another shape or dtype, or one with infinities: a fault of the service itself.
        """
        if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != len(self._typical):
            raise LabError(
                f"A feature matrix must be float32 of shape (rows, {len(self._typical)}); "
                f"this one is {matrix.dtype} of shape {matrix.shape}."
            )
        if np.isfinite(matrix).all():
            return
        np.copyto(matrix, self._typical, where=np.isnan(matrix))
        if not np.isfinite(matrix).all():
            columns = np.flatnonzero(~np.isfinite(matrix).all(axis=0))
            raise LabError(f"Not finite: {', '.join(self._names[i] for i in columns)}.")


def clean(matrix: NDArray[np.float32], catalogue: Catalogue) -> NDArray[np.float32]:
    """A copy of joined features, shape (rows, features), in range and complete: what the shipped parts make of it.

    Raises:
        LabError: see :class:`TypicalValues`.
    """
    cleaned = matrix.copy()
    CatalogueRanges(catalogue).apply(cleaned)
    TypicalValues(catalogue).apply(cleaned)
    return cleaned


def adjustments(
    catalogue: Catalogue, received: NDArray[np.float32], used: NDArray[np.float32]
) -> tuple[Adjustment, ...]:
    """What changed between two vectors of shape (features,)."""
    changed = np.flatnonzero(received != used)  # NaN differs from everything, so a filled gap counts
    return tuple(
        Adjustment(
            feature=catalogue.names[i],
            action="imputed" if _lost(catalogue, i, float(received[i])) else "clipped",
            received=None if np.isnan(received[i]) else float(received[i]),
            used=float(used[i]),
        )
        for i in changed.tolist()
    )


def _lost(catalogue: Catalogue, position: int, received: float) -> bool:
    feature = catalogue.features[position]
    return np.isnan(received) or (feature.impossible != "clip" and not feature.possible.holds(received))
