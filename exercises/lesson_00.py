"""Exercise 0: a feature that training and serving cannot disagree about.

Flights that leave late in the evening are the last ones of a long day. Give the model a feature that says so:

    ``late_evening``: 1 if the scheduled departure is at 22:00 or later, New York time, otherwise 0.

``catalogue`` gives the service its catalogue: the course's own, with your feature at the end of its first group,
``request``. Nothing else in it changes. Then train a challenger on it: ``challenger`` gets a table and gives a fitted
model. A model names the features that it wants, and in which order. That is its signature, and the service starts
only if it is the catalogue's.

The check builds a bundle with your catalogue and your challenger, starts the finished service with it and asks for
flights around 22:00, in summer and in winter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue, Feature, Range
from labserver.features.definitions import CATALOGUE
from labserver.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier


def late_evening(minute: NDArray[np.float64], weekday: NDArray[np.float64]) -> NDArray[np.float64]:
    """1.0 where the departure is at 22:00 or later, else 0.0.

    Args:
        minute: minutes since midnight in New York, float64: of all flights in training, shape (flights,), and of a
            single one in the service, a plain number.
        weekday: 1 for Monday to 7, the same shape.

    Returns:
        float64, of the same shape.
    """
    raise NotImplementedError("1.0 where the departure is at 22:00 or later")


def catalogue(settings: Settings) -> Catalogue:
    """The course's catalogue, and ``late_evening`` as the last feature of its first group."""
    return CATALOGUE


def challenger(table: pd.DataFrame, late: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
    """A model fitted on the features of your catalogue, by name and in its order. ``new_model()`` is the course's own.

    Args:
        table: one row a flight. It has a column for each of your features, and others, in no particular order.
        late: shape (flights,): whether the flight arrived more than 15 minutes late.
    """
    from labserver.pipeline.training import new_model  # here: the service loads this file too, and never trains

    names = list(CATALOGUE.names)
    return new_model().fit(table[names], late)
