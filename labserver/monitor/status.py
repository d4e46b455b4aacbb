"""The model's figures for the dashboard, always with the same keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from labserver.features.catalogue import Catalogue
from labserver.model.reference import SCORE, Reference
from labserver.monitor import thresholds
from labserver.monitor.drift import Judgement
from labserver.monitor.model_metrics import ModelMetrics
from labserver.monitor.quality import Quality
from labserver.monitor.served import Pair, Served
from labserver.monitor.tally import Tally

RECENT_SHOWN = 20
WATCHED_FROM = 0.8
"""Ratio of a statistic to its threshold from which on a feature is shown as watched."""


class Status:
    """Written by the monitor's thread, read by requests. Every assignment replaces a whole value."""

    def __init__(self, catalogue: Catalogue, reference: Reference, metrics: ModelMetrics) -> None:
        self.clock = 0.0
        self.quality = Quality()
        self._catalogue, self._reference, self._metrics = catalogue, reference, metrics
        nothing = np.full(len(reference.names), np.nan)
        self._judgement = Judgement(nothing, nothing, ())
        self._total = self._warned = 0
        self._score = np.zeros(reference.shares.shape[1])
        self._last: list[float] = [np.nan] * len(catalogue.names)
        self._recent: deque[Pair] = deque(maxlen=RECENT_SHOWN)

    def served(self, served: Served) -> None:
        """Note a batch."""
        self._total += len(served.pairs)
        self._warned += served.warned
        self._last = served.received[-1].tolist()
        self._recent.extend(served.pairs[-RECENT_SHOWN:])

    def judged(self, judgement: Judgement, tallies: Sequence[Tally]) -> None:
        """Note the drift, and the counts that it was found in."""
        self._judgement = judgement
        self._score = np.sum([tally.bins[-1] for tally in tallies], axis=0)

    def shown(self) -> dict[str, Any]:
        """Everything but the alerts."""
        return {
            "predictions": self._predictions(),
            "features": [self._feature(place) for place in range(len(self._catalogue.names))],
            "recent": [_prediction(pair) for pair in reversed(list(self._recent))],
            "quality": {**asdict(self.quality), "window": thresholds.QUALITY_WINDOW},
        }

    def _predictions(self) -> dict[str, Any]:
        place = self._reference.names.index(SCORE)
        edges, rows = self._reference.edges[place], self._score.sum()
        return {
            "total": self._total,
            "warned_share": round(self._warned / self._total, 4) if self._total else None,
            "edges": edges[np.isfinite(edges)].tolist(),
            "shares": (self._score / rows).round(4).tolist() if rows else [],
            "reference": self._reference.shares[place].round(4).tolist(),
            "drift": _number(self._judgement.day[place]),
            "drift_month": _number(self._judgement.month[place]),
        }

    def _feature(self, place: int) -> dict[str, Any]:
        feature, metrics = self._catalogue.features[place], self._metrics
        seen, typical = (feature.trained.seen, feature.trained.typical) if feature.trained else (feature.possible, None)
        return {
            "name": feature.name,
            "unit": feature.unit,
            "group": self._catalogue.group_of[feature.name].name,
            "owner": feature.owner,
            "possible": [feature.possible.low, feature.possible.high],
            "seen": [seen.low, seen.high],
            "typical": typical,
            "last": _number(self._last[place]),
            "missing": int(metrics.missing.total[place]),
            "out_of_range": int(metrics.impossible.total[place]),
            "clipped": int(metrics.clipped.total[place]),
            "stale": int(metrics.stale.total[place]),
            "rejected": int(metrics.rejected.total[place]),
            "drift": _number(self._judgement.day[place]),
            "drift_month": _number(self._judgement.month[place]),
            "deviation": self._nearest(place),
            "decides": _number(self._reference.decides[place]),
            "state": self._state(place, feature.name),
        }

    def _nearest(self, place: int) -> dict[str, Any] | None:
        """The statistic that is nearest to its threshold, or furthest beyond it, and the ratio of the two."""
        ratios = {name: ratio[place] for name, ratio in self._judgement.ratios.items() if not np.isnan(ratio[place])}
        if not ratios:
            return None
        name = max(ratios, key=lambda name: ratios[name])
        return {"statistic": name, "ratio": _number(ratios[name])}

    def _state(self, place: int, name: str) -> str:
        """Alert: beyond a threshold. Watch: near one."""
        if any(finding.feature == name for finding in self._judgement.findings):
            return "alert"
        nearest = self._nearest(place)
        return "watch" if nearest and nearest["ratio"] > WATCHED_FROM else "quiet"


def _prediction(pair: Pair) -> dict[str, Any]:
    flight, answer = pair
    return {
        "id": answer.id,
        "flight": f"{flight.carrier}{flight.flight}",
        "route": f"{flight.origin}-{flight.dest}",
        "tailnum": flight.tailnum,
        "scheduled_departure": flight.scheduled_departure.isoformat(),
        "as_of": answer.vector.as_of.isoformat(),
        "probability": round(answer.probability, 4),
        "decision": answer.decision,
        "adjusted": [asdict(adjustment) for adjustment in answer.adjusted],
        "stale": list(answer.stale),
    }


def _number(value: float) -> float | None:
    """The value, or None for NaN, which JSON does not have."""
    return None if np.isnan(value) else round(float(value), 4)


def unknown() -> dict[str, Any]:
    """The same keys for a service without a monitor."""
    predictions = ("total", "warned_share", "drift", "drift_month")
    return {
        "predictions": {**dict.fromkeys(predictions), "edges": [], "shares": [], "reference": []},
        "features": [],
        "recent": [],
        "quality": {**dict.fromkeys(asdict(Quality())), "window": None},
        "shadow": None,
        "alerts": [],
    }
