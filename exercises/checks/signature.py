"""Checks that a learner's model uses the catalogue's features, by name and in its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from exercises.checks.names import difference
from exercises.checks.result import CheckFinding
from labserver.features.catalogue import Catalogue


class Misnamed(Exception):
    """A challenger whose features differ from the catalogue's."""

    def __init__(self, finding: CheckFinding) -> None:
        super().__init__(finding.what)
        self.finding = finding


class SignatureProbe:
    """Hands the build's table to the learner's challenger, its columns shuffled and the label among them."""

    def __init__(self, challenger: Callable[..., Any], catalogue: Catalogue) -> None:
        self._challenger, self._names = challenger, catalogue.names
        self._wants: tuple[str, ...] = ()
        self._kind = ""

    def __call__(self, used: pd.DataFrame, late: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
        model = self._challenger(used.assign(late=late)[["late", *reversed(self._names)]], late)
        self._wants, self._kind = tuple(getattr(model, "feature_names_in_", ())), type(model).__name__
        if not self._passed:
            raise Misnamed(self.finding())
        fitted: HistGradientBoostingClassifier = model
        return fitted

    @property
    def _passed(self) -> bool:
        return self._kind == HistGradientBoostingClassifier.__name__ and self._wants == self._names

    def finding(self) -> CheckFinding:
        """A finding on whether the challenger's signature is the catalogue's."""
        return CheckFinding(
            "The challenger wants the catalogue's features, by name and in its order.",
            self._passed,
            sent="a table with the features in another order, and one column more: the label",
            received=f"{self._kind}, which wants {len(self._wants)} columns; {difference(self._wants, self._names)}",
            expected=f"HistGradientBoostingClassifier, which wants the {len(self._names)} features of your catalogue",
            why="The label in the table makes a superb model that cannot be served."
            if "late" in self._wants
            else "The service hands over numbers in the catalogue's order. A model with another signature reads seats "
            "for miles, so the service does not start with it.",
            mistake="" if self._passed else self._mistake(),
        )

    def _mistake(self) -> str:
        if self._wants == self._names:
            return "another-kind-of-model"  # the service's export knows trees
        return "feature-not-trained" if set(self._wants) < set(self._names) else "trained-by-place"
