"""Drift: compares inputs with the training data. Lesson 9.

The detector compares the statistics of :mod:`labserver.monitor.deviation` with thresholds that the build took from
January to August (``labserver.pipeline.alarms``). It finds that a feature is unlike training. Whether that matters is
another question: :mod:`labserver.monitor.impact` asks the model how many decisions depend on it. If they are many, an
alert on the last 24 hours calls a person; everything else is a ticket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue, Feature
from labserver.model.reference import SCORE, Reference
from labserver.monitor import thresholds
from labserver.monitor.alarm_thresholds import SHARES, AlarmThresholds
from labserver.monitor.deviation import WINDOWS, Deviation
from labserver.monitor.tally import Tally, total

Severity = Literal["page", "ticket"]
Ratios = Mapping[str, NDArray[np.float64]]
"""By statistic, its value over its threshold; shape (features + 1,), NaN where it was not judged."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a person should look at: at once (``page``), or this week (``ticket``).

    Attributes:
        name: of the alert.
        severity: see above.
        detail: one or two sentences for that person.
        feature: what it is about; None if it is not about one feature.
        affected: share of the last day's values that are unlike training, of a finding whose severity depends on the
            decisions that rest on them; None if the severity is settled.
    """

    name: str
    severity: Severity
    detail: str
    feature: str | None = None
    affected: float | None = None


@dataclass(frozen=True)
class Judgement:
    """The detector's result: how far the inputs have moved.

    Attributes:
        day: distance of the last day from training, shape (features + 1,), the score last; NaN where there is none.
        month: the same of 28 days.
        findings: what is wrong.
        week: the same of 7 days.
        ratios: how near each statistic is to its threshold.
    """

    day: NDArray[np.float64]
    month: NDArray[np.float64]
    findings: tuple[Finding, ...]
    week: NDArray[np.float64] | None = None
    ratios: Ratios = field(default_factory=dict)


class Detector(Protocol):
    """Lesson 9. Compares days with training."""

    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        """Called about once a second.

        Args:
            today: the last 24 hours.
            days: the days of 24 hours before it, oldest first, at most :data:`labserver.model.reference.MONTH`.
        """


class DeviationDetector:
    """The shipped detector."""

    def __init__(self, catalogue: Catalogue, reference: Reference, limits: AlarmThresholds) -> None:
        self._catalogue, self._reference, self._limits = catalogue, reference, limits
        self._deviation = Deviation(catalogue, reference)

    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        """See :class:`Detector`."""
        level = np.array([self._level([*days[len(days) - size + 1 :], today], size) for size in WINDOWS.values()])
        limits = np.array([self._allowed(number, days, today) for number in range(len(WINDOWS))])
        step, tails = self._from_the_day_before(today, days)
        shares = {name: self._share(today, name) for name in SHARES}
        still = today.still if _dense(today) else np.full(len(today.still), np.nan)
        ratios = {
            **{f"level_{window}": level[at] / limits[at] for at, window in enumerate(WINDOWS)},
            "step": step / (self._limits.step + self._noise(today.rows)),
            "tails": tails / (self._limits.tails + thresholds.NOISE_OF_ODDS * self._noise(today.rows)),
            "still": still / self._limits.still,
            **{name: share / self._allowed_share(today, name) for name, share in shares.items()},
        }
        findings = (
            *self._shares(ratios, shares),
            *self._still(ratios["still"], still),
            *self._steps(ratios["step"], step),
            *self._shapes(ratios["tails"], tails),
            *self._levels(ratios, level, limits),
        )
        day, week, month = level
        return Judgement(day, month, findings, week, ratios)

    def _level(self, window: Sequence[Tally], days: int) -> NDArray[np.float64]:
        """The window's distance from training; NaN if it is not whole."""
        if len(window) < days or not all(_whole(day) for day in window):
            return np.full(len(self._reference.names), np.nan)
        whole = total(window)
        return self._deviation.level(whole.bins, whole.sums, whole.weekdays)

    def _allowed(self, window: int, days: Sequence[Tally], today: Tally) -> NDArray[np.float64]:
        size = list(WINDOWS.values())[window]
        rows = today.rows + sum(day.rows for day in days[len(days) - size + 1 :])
        allowed: NDArray[np.float64] = self._limits.level[window] + self._noise(rows, window)
        return allowed

    def _noise(self, rows: int, window: int = 0) -> float:
        """What chance adds to a distance when there are fewer predictions than in training's windows."""
        fewer = 1 / np.sqrt(max(rows, 1)) - 1 / np.sqrt(self._limits.rows[window])
        return float(thresholds.NOISE * max(0.0, fewer))

    def _from_the_day_before(
        self, today: Tally, days: Sequence[Tally]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The step, and the change of the tails; NaN without two whole days."""
        if not days or not _whole(today) or not _whole(days[-1]):
            nothing = np.full(len(self._reference.names), np.nan)
            return nothing, nothing
        before = days[-1]
        step = self._deviation.step(today.bins, today.sums, before.bins, before.sums)
        return step, self._deviation.tails(today.bins, before.bins)

    def _share(self, today: Tally, name: str) -> NDArray[np.float64]:
        """Share of today's values; of the score there is none."""
        if not _enough(today):
            return np.full(len(self._reference.names), np.nan)
        return np.append(getattr(today, name) / today.rows, np.nan)

    def _allowed_share(self, today: Tally, name: str) -> NDArray[np.float64]:
        limit: NDArray[np.float64] = getattr(self._limits, name)
        return limit + np.sqrt(limit * (1 - limit)) * self._noise(today.rows)

    def _found(self, ratio: NDArray[np.float64]) -> Iterator[tuple[int, Feature | None]]:
        """The columns beyond their threshold; the score is no feature."""
        for column in np.flatnonzero(ratio > 1).tolist():
            score = self._reference.names[column] == SCORE
            yield column, None if score else self._catalogue.features[column]

    def _shares(self, ratios: Ratios, shares: Mapping[str, NDArray[np.float64]]) -> Iterator[Finding]:
        for name, alert, what in SHARE_ALERTS:
            for column, feature in self._found(ratios[name]):
                if feature:
                    share = float(shares[name][column])
                    said = what.format(possible=feature.possible, unit=feature.unit)
                    detail = f"{share:.0%} of the last 24 hours' {feature.name} {said}. Ask {feature.owner}."
                    yield Finding(alert, "ticket", detail, feature.name, share)

    def _still(self, ratio: NDArray[np.float64], still: NDArray[np.float64]) -> Iterator[Finding]:
        for column, feature in self._found(ratio):
            said = f"has had one value for {still[column]:.0f} hours; the threshold is {self._limits.still[column]:.0f}"
            yield _about("Frozen", feature, f"{said}.")

    def _steps(self, ratio: NDArray[np.float64], step: NDArray[np.float64]) -> Iterator[Finding]:
        for column, feature in self._found(ratio):
            said = f"the last 24 hours are {step[column]:.2f} standard deviations from the 24 hours before"
            yield _about("Jump", feature, f"{said}; the threshold is {step[column] / ratio[column]:.2f}.")

    def _shapes(self, ratio: NDArray[np.float64], tails: NDArray[np.float64]) -> Iterator[Finding]:
        for column, feature in self._found(ratio):
            said = f"the odds of an extreme value changed {np.exp(tails[column]):.1f} times from the 24 hours before"
            yield _about(
                "Shape", feature, f"{said}; the threshold is {np.exp(tails[column] / ratio[column]):.1f} times."
            )

    def _levels(self, ratios: Ratios, level: NDArray[np.float64], limits: NDArray[np.float64]) -> Iterator[Finding]:
        """One finding for each column, about the shortest window that is beyond its threshold."""
        found: set[int] = set()
        for at, (window, days) in enumerate(WINDOWS.items()):
            for column, feature in self._found(ratios[f"level_{window}"]):
                if column not in found:
                    found.add(column)
                    when = "the last 24 hours are" if days == 1 else f"the last {days} days are"
                    far = f"{level[at, column]:.2f} standard deviations from training"
                    detail = f"{when} {far}; the threshold is {limits[at, column]:.2f}."
                    if days == 1 and feature:
                        yield _about("UnlikeTraining", feature, detail)
                    else:
                        yield _settled(_about("Drift", feature, detail))


STATISTICS = (*(f"level_{window}" for window in WINDOWS), "step", "tails", "still", *SHARES)
"""What is judged."""

SHARE_ALERTS = (
    ("impossible", "FeatureOutOfRange", "is outside {possible} {unit}, which is impossible"),
    ("missing", "FeatureMissing", "is missing"),
    ("stale", "FeatureValuesStale", "is older than its source promises"),
)
"""Statistic, alert, and what it says."""


def _about(kind: str, feature: Feature | None, detail: str) -> Finding:
    """A finding about a feature, or about the predictions. All values of a feature that moved are affected."""
    if feature is None:
        return Finding(f"Prediction{kind}", "page" if kind == "Frozen" else "ticket", f"Predictions: {detail}")
    return Finding(f"Feature{kind}", "ticket", f"{feature.name}: {detail} Ask {feature.owner}.", feature.name, 1.0)


def _settled(finding: Finding) -> Finding:
    """What took a week to be seen can wait for the morning."""
    return Finding(finding.name, "ticket", finding.detail, finding.feature)


def _enough(day: Tally) -> bool:
    return day.rows >= thresholds.ROWS_FOR_SHARE


def _dense(day: Tally) -> bool:
    """Where few are asked about, a value that changed is seen hours later."""
    return day.rows >= thresholds.ROWS_FOR_DRIFT


def _whole(day: Tally) -> bool:
    return day.whole and _dense(day)
