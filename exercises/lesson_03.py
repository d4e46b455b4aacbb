"""Exercise 3: validations that notice what crashes nothing.

A colleague's pipeline makes the table of features. The check runs your validations on thirteen versions of it, each
with one bug, which you do not see. The bugs are of this lesson's kinds: rows that are lost or doubled, times of day,
gaps, values from the future, units, values in the wrong rows.

1. ``validate(features, flights, weather)`` gets the table and the sources it was made from, as pandas frames, and
   returns a sentence for each problem, which names the column at fault. For a table without a bug it returns an empty
   list. Clean tables have gaps, values that training never saw, and their rows in any order.
2. ``impossible(values, catalogue)`` says which values are impossible. ``validate`` uses it for a table of thousands of
   rows, and the running service for one vector.
3. ``completion(context)`` is the part: imputation, the last step before the model. It replaces gaps and impossible
   values by the typical value of training. It changes nothing else.

``exercises/checks/joined.py`` describes the frames. To look at them:

    from exercises.checks.joined import joined
    from labserver.settings import settings
    features, flights, weather = joined(settings().warehouse, "2013-10-15")

The service loads this file, and a service imports no pandas. You need no import for the methods of a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.parts import Context

if TYPE_CHECKING:
    import pandas as pd

KEY = ["day", "carrier", "flight", "origin"]
WEATHER = ["humidity", "wind_speed", "precipitation", "pressure", "visibility"]


def impossible(values: NDArray[np.float32], catalogue: Catalogue) -> NDArray[np.bool_]:
    """Which values of shape (rows, features), in catalogue order, are impossible. A gap (NaN) is not one of them."""
    raise NotImplementedError("compare with what the catalogue says is possible")


def validate(features: pd.DataFrame, flights: pd.DataFrame, weather: pd.DataFrame) -> list[str]:
    """A sentence for each problem of ``features``, such as ``"humidity: 12 values are impossible"``."""
    values = features[list(CATALOGUE.names)].to_numpy(np.float32)
    wrong = impossible(values, CATALOGUE).sum(axis=0).tolist()
    problems = [f"{name}: {n} values are impossible" for name, n in zip(CATALOGUE.names, wrong, strict=True) if n]
    # Ranges alone do not find much. What do the sources know of each row?
    return problems


class Checked:
    """What is missing or impossible becomes typical; everything else stays as it is."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.typical = np.array([f.trained.typical for f in catalogue.features if f.trained], np.float32)

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Change a matrix of shape (rows, features) in place; afterwards every value is finite and possible."""
        raise NotImplementedError("fill what is missing or impossible, in place")


def completion(context: Context) -> Checked:
    """The part. The catalogue in the context knows what training saw."""
    return Checked(context.catalogue)
