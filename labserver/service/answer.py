"""The result of a request: the feature vector that the model saw, and the answer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import Adjustment, adjustments
from labserver.moments import from_microseconds
from labserver.service.decision import Decision


@dataclass(frozen=True, slots=True)
class Vector:
    """The feature vector of one flight, with the origin of each value.

    Attributes:
        as_of: the prediction time.
        asked: the prediction time in microseconds since 1970 UTC.
        clock: the moment up to which the online store was complete.
        values: shape (1, features), float32, in catalogue order, as the model gets them.
        received: the same before ranges and imputation; NaN where nothing was known.
        known_at: by group, in microseconds since 1970 UTC; None where the entity has no row.
        overridden: features that the caller supplied.
    """

    as_of: datetime
    asked: int
    clock: datetime
    values: NDArray[np.float32]
    received: NDArray[np.float32]
    known_at: Sequence[int | None]
    overridden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction. ``adjusted`` and ``stale`` list replaced and old values; ``vector`` is the model's input."""

    id: str
    vector: Vector = field(compare=False, repr=False)
    probability: float
    decision: Decision
    adjusted: tuple[Adjustment, ...]
    stale: tuple[str, ...]


def explain(catalogue: Catalogue, vector: Vector) -> list[dict[str, Any]]:
    """For each feature its value, origin, age and adjustment."""
    adjusted = {a.feature: a for a in adjustments(catalogue, vector.received, vector.values[0])}
    group_number = {group.name: number for number, group in enumerate(catalogue.stored)}
    shown = []
    for name, value in zip(catalogue.names, vector.values[0].tolist(), strict=True):
        group = catalogue.group_of[name]
        known = vector.known_at[group_number[group.name]] if group.name in group_number else None
        origin = "override" if name in vector.overridden else group.name
        stored = known is not None and name not in vector.overridden
        shown.append(
            {
                "name": name,
                "value": value,
                "unit": catalogue[name].unit,
                "origin": origin,
                "known_at": from_microseconds(known) if known is not None and stored else None,
                "age_seconds": (vector.asked - known) / 1e6 if known is not None and stored else None,
                "adjusted": adjusted[name].action if name in adjusted else None,
            }
        )
    return shown


def all_or_first_refusal(results: Sequence[Answer | Refused]) -> list[Answer]:
    """Return all answers, or raise the first rejection, which then names the flight's position.

    Raises:
        Refused: if any flight was rejected.
    """
    answers: list[Answer] = []
    for number, result in enumerate(results):
        if isinstance(result, Refused):
            raise result.in_batch(number)
        answers.append(result)
    return answers


class Ids:
    """Random ids of 32 hex digits, drawn many at a time: asking the kernel for each takes longer."""

    BLOCK = 256

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def draw(self) -> str:
        """An id that nobody can guess: a client that knows it can send the flight's outcome."""
        try:
            return self._drawn.pop()
        except IndexError:
            digits = secrets.token_hex(16 * self.BLOCK)
            self._drawn += [digits[i : i + 32] for i in range(0, len(digits), 32)]
            return self._drawn.pop()
