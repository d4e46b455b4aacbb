"""Exercise 9: a drift detector, and an alert rule.

**The detector.** The service counts the inputs of each day: a ``Tally`` holds, for each feature, how many values were
impossible (``impossible``), how many were not known (``missing``), and how many fell into each bin of training's
deciles (``bins``, shape (features + 1, bins), the score last). About once a second it calls ``judge(today, days)``
with the day under way and the complete days before it, oldest first, at most 28. ``judge`` is written. The four
methods that it calls are not. Each returns a truth value for each feature:

- ``impossible``: visibility arrives in kilometres. Found the same day: more than a twentieth of the values are
  impossible.
- ``missing``: a third of the humidity is missing. Found the same day. Of some features a half is missing every week, so
  the limit is each feature's own.
- ``frozen``: an airport's feed keeps the same value, which is quite usual, and is still read. Found within 14 days, and
  still found after four weeks. Its mean hardly moves. But a third of all values falls into one bin, day after day, and
  no weather does that. Judge weather and live values only: an average of 30 nights hardly moves either.
- ``drifted``: four weeks are unlike training. The reference holds how much training's own weeks differed.

March, April and May were normal: nothing may be found in them. Nor in a handful of predictions at night.

**The rule.** ``RULE`` is a file for Prometheus with one alert, ``FeatureClipped``: of a feature's values of the last 30
minutes, more than a tenth was beyond anything that training saw, out of more than 50 predictions, for ten minutes. The
metrics are the counters ``feature_clipped_total{feature}`` and ``predictions_total{decision}``. It has a ``severity``,
and a ``summary`` that names the feature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.reference import MONTH, Reference
from labserver.monitor.drift import Detector, Finding, Judgement, Severity
from labserver.monitor.tally import Tally
from labserver.parts import Context

Truth = NDArray[np.bool_]
"""Of each feature, shape (features,)."""



class Watch:
    """The detector.

    Attributes:
        catalogue: the features, in order.
        reference: what training saw. ``shares`` has shape (features + 1, bins). ``worst_day`` and ``worst_month``, of
            shape (features + 1,), are the largest PSI of one of its days and of 28. ``usual_missing`` is the share that
            was missing on all but its worst days.
        moving: which features are weather or live values.
    """

    def __init__(self, catalogue: Catalogue, reference: Reference) -> None:
        self.catalogue = catalogue
        self.reference = reference
        kinds = [catalogue.group_of[name].kind for name in catalogue.names]
        self.moving: Truth = np.array([kind in ("weather", "live") for kind in kinds])

    def impossible(self, today: Tally) -> Truth:
        """More than a twentieth of the day's values are impossible."""
        raise NotImplementedError("impossible: of which features are too many of the day's values impossible?")

    def missing(self, today: Tally) -> Truth:
        """Far more of the day's values are missing than usual."""
        raise NotImplementedError("missing: of which features are more missing than usual?")

    def frozen(self, days: Sequence[Tally]) -> Truth:
        """On each of the last days, one bin held many more of the values than in training."""
        raise NotImplementedError("frozen: which features stood still on each of the last days?")

    def drifted(self, month: NDArray[np.float64]) -> Truth:
        """Four weeks are further from training than training's own were.

        Args:
            month: PSI of the last 28 days, shape (features + 1,); NaN before there are so many.
        """
        raise NotImplementedError("drifted: which features are unlike training for four weeks?")

    def nothing(self) -> Truth:
        """No feature."""
        return np.zeros(len(self.catalogue.names), np.bool_)

    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        """See ``labserver.monitor.drift.Detector``."""
        day, month = self.psi(days[-1:]), self.psi(days if len(days) == MONTH else ())
        findings = [
            *self.findings("FeatureOutOfRange", "page", self.impossible(today), "values that cannot be"),
            *self.findings("FeatureMissing", "ticket", self.missing(today), "many values are missing"),
            *self.findings("FeatureFrozen", "page", self.frozen(days), "the same values, day after day"),
            *self.findings("FeatureDrift", "ticket", self.drifted(month), f"{MONTH} days unlike training"),
        ]
        return Judgement(day, month, tuple(findings))

    def psi(self, days: Sequence[Tally]) -> NDArray[np.float64]:
        """PSI of some days against training, shape (features + 1,); NaN for less than 300 predictions."""
        if sum(day.rows for day in days) < 300:
            return np.full(len(self.reference.names), np.nan)
        return self.reference.psi(np.sum([day.bins for day in days], axis=0))

    def findings(self, name: str, severity: Severity, found: Truth, what: str) -> list[Finding]:
        """One for each feature that was found."""
        features = [self.catalogue.features[place] for place in np.flatnonzero(found).tolist()]
        return [Finding(name, severity, f"{f.name}: {what}. Ask {f.owner}.", f.name) for f in features]


def drift(context: Context) -> Detector:
    """Part: the detector."""
    return Watch(context.catalogue, Reference.read(context.bundle.reference, context.catalogue.names))


RULE = """
groups:
  - name: exercise
    rules:
      - alert: FeatureClipped
        expr: feature_clipped_total > 100
"""
