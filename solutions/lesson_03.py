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
    # BEGIN SOLUTION
    low = np.array([feature.possible.low for feature in catalogue.features], np.float32)
    high = np.array([feature.possible.high for feature in catalogue.features], np.float32)
    return (values < low) | (values > high)
    # TASK: compare with what the catalogue says is possible
    # END SOLUTION


def validate(features: pd.DataFrame, flights: pd.DataFrame, weather: pd.DataFrame) -> list[str]:
    """A sentence for each problem of ``features``, such as ``"humidity: 12 values are impossible"``."""
    values = features[list(CATALOGUE.names)].to_numpy(np.float32)
    wrong = impossible(values, CATALOGUE).sum(axis=0).tolist()
    problems = [f"{name}: {n} values are impossible" for name, n in zip(CATALOGUE.names, wrong, strict=True) if n]
    # BEGIN SOLUTION
    return [
        *problems,
        *row_problems(features, flights),
        *schedule_problems(features, flights),
        *weather_problems(features, weather),
        *gap_problems(features),
    ]
    # TASK
    # # Ranges alone do not find much. What do the sources know of each row?
    # return problems
    # END SOLUTION


class Checked:
    """What is missing or impossible becomes typical; everything else stays as it is."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.typical = np.array([f.trained.typical for f in catalogue.features if f.trained], np.float32)

    def apply(self, matrix: NDArray[np.float32]) -> None:
        """Change a matrix of shape (rows, features) in place; afterwards every value is finite and possible."""
        # BEGIN SOLUTION
        np.copyto(matrix, self.typical, where=np.isnan(matrix) | impossible(matrix, self.catalogue))
        # TASK: fill what is missing or impossible, in place
        # END SOLUTION


def completion(context: Context) -> Checked:
    """The part. The catalogue in the context knows what training saw."""
    return Checked(context.catalogue)


# BEGIN SOLUTION
def row_problems(features: pd.DataFrame, flights: pd.DataFrame) -> list[str]:
    """Every flight has one row. Numbers of rows may agree by chance, so keys are compared."""
    problems = []
    if twice := int(features.duplicated(KEY).sum()):
        problems.append(f"rows: {twice} stand there again")
    here = features[KEY].drop_duplicates().merge(flights[KEY], how="outer", on=KEY, indicator=True)
    if strange := int((here["_merge"] != "both").sum()):
        problems.append(f"rows: {strange} flights are in one of the two tables only")
    return problems


def schedule_problems(features: pd.DataFrame, flights: pd.DataFrame) -> list[str]:
    """What the schedule knows of a flight, its feature must say too."""
    both = features.merge(flights, on=KEY, suffixes=("", "_source"))
    hour = both["sched_dep_time"] // 100 + both["sched_dep_time"] % 100 / 60
    expected = {"departure_hour": hour, "distance": both["distance_source"]}
    return [
        f"{name}: {n} values differ from the schedule"
        for name, column in expected.items()
        if (n := int(((both[name] - column).abs() > 0.001).sum()))
    ]


def weather_problems(features: pd.DataFrame, weather: pd.DataFrame) -> list[str]:
    """The weather of a row is the record of its own airport, and one that could be known."""
    problems = []
    if n := int((~(features["weather_known_at"] <= features["as_of"])).sum()):
        problems.append(f"weather_known_at: {n} are missing, or later than the question")
    at = {"left_on": ["origin", "weather_known_at"], "right_on": ["origin", "known_at"]}
    both = features.merge(weather, how="left", **at, suffixes=("", "_source"))
    for name in WEATHER:
        here, there = both[name], both[f"{name}_source"]
        same = ((here - there).abs() <= 0.001) | (here.isna() & there.isna())
        if n := int((~same).sum()):
            problems.append(f"{name}: {n} values are not those of the record")
    return problems


def gap_problems(features: pd.DataFrame) -> list[str]:
    """A delay and its age are known together, or neither is."""
    half = features["plane_delay"].isna() != features["plane_delay_age"].isna()
    return [f"plane_delay: {half.sum()} have a value without an age, or the reverse"] if half.any() else []


# TASK
# END SOLUTION
