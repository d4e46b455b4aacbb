"""Protocols of the service and of the components that it needs. There is no implementation here.

Any object with these methods fits: a fake of ten lines, or a learner's part. Nothing here loads SQLite or ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labserver.errors import Refused
from labserver.features.flight import Flight
from labserver.features.lookup import Lookup
from labserver.features.signature import Signature
from labserver.service.answer import Answer, Vector
from labserver.service.decision import Decision
from labserver.service.schedule import Now


class Values(Protocol):
    """Lesson 5. Where precomputed feature values come from."""

    def lookup(self, flight: Flight) -> Lookup:
        """The latest known values for a flight's entities."""

    def lookup_many(self, flights: Sequence[Flight]) -> list[Lookup]:
        """The same for many flights, as of one moment."""

    def clock(self) -> datetime:
        """The moment up to which values are complete."""

    def problem(self) -> str | None:
        """Why there are none now, and what to do about it; None if all is well."""


class Ranges(Protocol):
    """Lesson 4. Changes a matrix of feature values in place."""

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Bring every value of shape (rows, features) into the range the model knows; missing values stay NaN."""

    def check_override(self, name: str, value: float) -> None:
        """Raise :class:`Refused` for a value that a client must not send."""


class Completion(Protocol):
    """Lesson 3. Imputation: the last step before the model."""

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Fill what is missing, in place; afterwards every value of shape (rows, features) is finite."""


class Predictor(Protocol):
    """A model, ready to answer."""

    @property
    def signature(self) -> Signature | None:
        """The features it wants, in its order. No service starts with a model that does not say so."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of a late arrival for each row of shape (rows, wanted features); shape (rows,)."""


class DecisionPolicy(Protocol):
    """Lesson 5. Decides what to do about a probability."""

    def decide(self, probability: float) -> Decision:
        """``"warn"`` or ``"no_warning"``."""


class Service(Protocol):
    """The prediction service, as the API, batch scoring and replay see it."""

    def vector(self, flight: Flight) -> Vector:
        """The features that a prediction would use. Raises ``Refused``."""

    def predict(self, flight: Flight) -> Answer:
        """One prediction. Raises ``Refused``."""

    def predict_each(self, flights: Sequence[Flight]) -> list[Answer | Refused]:
        """For each flight, in order, its prediction, or the reason why it is rejected."""

    def explain(self, vector: Vector) -> list[dict[str, Any]]:
        """For each feature its value, origin, age and adjustment."""

    def now(self) -> Now:
        """The clock, and a departure to ask about. Raises ``StoreUnavailable``."""

    def problem(self) -> str | None:
        """The reason why nothing can be predicted now, and what to do about it; None if all is well. For /readyz."""
