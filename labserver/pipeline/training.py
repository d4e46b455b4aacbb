"""Fits the model and its two baselines on January to August. September to December are only looked at at the end.

Settings and the choice of features were made within January to August (fit to June, compare on July and August).
There, temperature made the probabilities worse: it stands for the season, and the next season is a different one.
A second step of calibration (Platt's, fitted on later months than the model) did not help either, so there is none:
gradient boosting on log loss is calibrated as far as the months are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from labserver.moments import NEW_YORK

TRAINED_UNTIL = datetime(2013, 9, 1, tzinfo=NEW_YORK)
"""First moment that training does not see; the online store's snapshot is taken here."""


def new_model() -> HistGradientBoostingClassifier:
    """The model, unfitted. No early stopping: the same rows give the same trees."""
    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=60,
        max_leaf_nodes=31,
        min_samples_leaf=200,
        early_stopping=False,
        random_state=0,
    )


def new_logistic_regression() -> Any:
    """The linear baseline, on the same features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


@dataclass(frozen=True)
class BaseRate:
    """The share of late flights of the route and carrier, drawn towards the overall share where flights are few."""

    overall: float
    rates: pd.Series

    @classmethod
    def fit(cls, flights: pd.DataFrame, late: NDArray[np.bool_], weight: float = 50.0) -> BaseRate:
        """Count late flights for each (origin, dest, carrier) of the frame; ``weight`` is in flights."""
        overall = float(late.mean())
        counts = pd.Series(late).groupby([flights[name].to_numpy() for name in BASELINE_KEYS]).agg(["sum", "count"])
        return cls(overall, (counts["sum"] + weight * overall) / (counts["count"] + weight))

    def predict(self, flights: pd.DataFrame) -> NDArray[np.float64]:
        """Probabilities of shape (flights,)."""
        keys = pd.MultiIndex.from_frame(flights[list(BASELINE_KEYS)])
        return np.asarray(self.rates.reindex(keys).fillna(self.overall), dtype=np.float64)


BASELINE_KEYS = ("origin", "dest", "carrier")
