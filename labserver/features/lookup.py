"""What a store of feature values gives for one flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the store knew of one flight.

    Attributes:
        clock: the moment up to which the store is complete.
        values: one number a stored column, in catalogue order; None where nothing is known.
        known_at: one moment a group, in microseconds since 1970 UTC; None where the entity has no row.
    """

    clock: datetime
    values: Sequence[float | None]
    known_at: Sequence[int | None]
