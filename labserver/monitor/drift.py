"""Drift: compares inputs with the training data. Lesson 9.

Two causes change the inputs, and different people act on them. A fault upstream (a different unit, a dead sensor) is
sudden, affects one feature, and makes impossible values. A season is slow, moves many features together, and all its
values are possible. So the detector looks for each where the other does not show:

- impossible values, within the day: ``FeatureOutOfRange``;
- values that are missing, within the day: ``FeatureMissing``;
- a day that is further from training than any day of training was: ``FeatureJump``;
- four weeks that are further from training than any four weeks of training were: ``FeatureDrift``, for the season.

A day of weather is one day at three airports, not a thousand independent draws, so its PSI is large by nature. That is
why each feature has its own threshold, measured in training, and why a change of unit that gives possible values (wind
in metres a second) is found over four weeks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.reference import MONTH, SCORE, Reference
from labserver.monitor import thresholds
from labserver.monitor.tally import Tally

Severity = Literal["page", "ticket"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a person should look at: at once (``page``), or this week (``ticket``)."""

    name: str
    severity: Severity
    detail: str
    feature: str | None = None


@dataclass(frozen=True)
class Judgement:
    """The detector's result: how far the inputs have moved.

    Attributes:
        day: PSI of the last complete day, shape (features + 1,), the score last; NaN where there is none.
        month: PSI of the last :data:`MONTH` complete days, likewise.
        findings: what is wrong.
    """

    day: NDArray[np.float64]
    month: NDArray[np.float64]
    findings: tuple[Finding, ...]


class Detector(Protocol):
    """Lesson 9. Compares days with training."""

    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        """Called about once a second.

        Args:
            today: the day under way.
            days: the complete days before it, oldest first, at most :data:`MONTH`.
        """


@dataclass(frozen=True)
class DriftLimits:
    """The thresholds of each column, NaN where there is none; shape (features + 1,), ``missing`` shape (features,)."""

    day: NDArray[np.float64]
    month: NDArray[np.float64]
    missing: NDArray[np.float64]

    @classmethod
    def from_reference(cls, reference: Reference) -> DriftLimits:
        """Thresholds from the days of training. A bundle without them gets the rule of thumb, for months only."""

        def beyond(worst: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.maximum(thresholds.DRIFT_LEAST, thresholds.DRIFT_MARGIN * worst)

        month = np.nan_to_num(beyond(reference.worst_month), nan=thresholds.DRIFT_LEAST)
        twice = thresholds.MISSING_MARGIN * reference.usual_missing[:-1]
        missing = np.clip(twice, thresholds.MISSING_LEAST, thresholds.MISSING_MOST)
        return cls(beyond(reference.worst_day), month, missing)


class PsiDetector:
    """The shipped detector."""

    def __init__(self, catalogue: Catalogue, reference: Reference) -> None:
        self._catalogue = catalogue
        self._reference = reference
        self._limits = DriftLimits.from_reference(reference)

    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        """See :class:`Detector`."""
        nothing = np.full(len(self._reference.names), np.nan)
        day = self._reference.psi(days[-1].bins) if days and days[-1].rows >= thresholds.ROWS_FOR_DRIFT else nothing
        month = nothing
        if len(days) == MONTH and sum(tally.rows for tally in days) >= thresholds.ROWS_FOR_DRIFT:
            month = self._reference.psi(np.sum([tally.bins for tally in days], axis=0))
        latest = today if today.rows >= thresholds.ROWS_FOR_SHARE or not days else days[-1]
        findings = [
            *self._shares(latest),
            *self._moved("FeatureJump", "page", day, self._limits.day, "the last whole day lies"),
            *self._moved("FeatureDrift", "ticket", month, self._limits.month, f"the last {MONTH} days lie"),
        ]
        return Judgement(day, month, tuple(findings))

    def _shares(self, tally: Tally) -> list[Finding]:
        if tally.rows < thresholds.ROWS_FOR_SHARE:
            return []
        found = []
        impossible, missing = tally.impossible / tally.rows, tally.missing / tally.rows
        for i in np.flatnonzero(impossible > thresholds.OUT_OF_RANGE_SHARE).tolist():
            feature = self._catalogue.features[i]
            detail = (
                f"{impossible[i]:.0%} of today's {feature.name} is outside {feature.possible} {feature.unit}, which "
                f"cannot be: a fault upstream, not the season. Ask {feature.owner}."
            )
            found.append(Finding("FeatureOutOfRange", "page", detail, feature.name))
        for i in np.flatnonzero(missing > self._limits.missing).tolist():
            feature = self._catalogue.features[i]
            detail = f"{missing[i]:.0%} of today's {feature.name} is missing. Ask {feature.owner}."
            found.append(Finding("FeatureMissing", "ticket", detail, feature.name))
        return found

    def _moved(
        self, name: str, severity: Severity, psi: NDArray[np.float64], limit: NDArray[np.float64], what: str
    ) -> list[Finding]:
        found = []
        for i in np.flatnonzero(psi > limit).tolist():
            column = self._reference.names[i]
            detail = f"{what} {psi[i]:.2f} from training (PSI); the limit is {limit[i]:.2f}."
            if column == SCORE:
                found.append(Finding(name.replace("Feature", "Prediction"), severity, f"Predictions: {detail}"))
            else:
                found.append(Finding(name, severity, f"{column}: {detail}", column))
        return found
