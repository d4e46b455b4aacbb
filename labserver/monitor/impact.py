"""How much a feature matters: the share of decisions that change if it has its typical value.

A feature that is unlike training is a fact. It becomes urgent if decisions rest on it. So the model itself is asked,
with the vectors of the last answers: once as they were, once with the typical value in place of the feature. Where the
typical value is in place already, because nothing was known or what came is impossible, the share that training's
decisions had is the best estimate of what is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.reference import Reference
from labserver.monitor import thresholds
from labserver.monitor.drift import Finding
from labserver.monitor.served import Served
from labserver.service.ports import DecisionPolicy, Predictor


class Impact:
    """Keeps some of the last answers' vectors, and grades findings with them."""

    KEPT = 500
    """Vectors: a share of 5 % is then known to within 2 points."""

    def __init__(
        self, catalogue: Catalogue, reference: Reference, predictor: Predictor, decision: DecisionPolicy
    ) -> None:
        self._catalogue, self._predictor, self._decision = catalogue, predictor, decision
        self._usual = dict(zip(catalogue.names, reference.decides.tolist(), strict=False))
        self._vectors = np.zeros((0, len(catalogue.names)), np.float32)
        self._changed: dict[str, float] = {}
        self.found: dict[str, float] = {}
        """Share of decisions that depend on each feature of the last findings."""

    def served(self, served: Served) -> None:
        """Note a batch."""
        self._vectors = np.concatenate([self._vectors, served.used])[-self.KEPT :]
        self._changed.clear()

    def replace(self, vectors: NDArray[np.float32]) -> None:
        """Ask with these vectors from now on, shape (rows, features): where the past is gone through."""
        self._vectors = vectors[-self.KEPT :]
        self._changed.clear()

    def changed(self, feature: str, affected: float = 1.0) -> float:
        """Share of decisions that depend on a feature.

        Args:
            feature: its name.
            affected: share of its values that are unlike training; the others decide as they should.
        """
        if feature not in self._changed:
            self._changed[feature] = self._asked(feature)
        usual = self._usual.get(feature, np.nan)
        return float(np.nanmax([self._changed[feature], usual])) * affected

    def graded(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings, with the severity of those that depend on it."""
        self.found = {}
        return [self._graded(finding) for finding in findings]

    def _graded(self, finding: Finding) -> Finding:
        if finding.affected is None or finding.feature not in self._usual:
            return finding
        changed = self.changed(finding.feature, finding.affected)
        self.found[finding.feature] = max(changed, self.found.get(finding.feature, 0.0))
        urgent = changed >= thresholds.DECISIONS_CHANGED
        detail = f"{finding.detail} {changed:.1%} of decisions depend on it."
        return replace(finding, severity="page" if urgent else finding.severity, detail=detail)

    def _asked(self, feature: str) -> float:
        if not len(self._vectors):
            return 0.0
        typical = self._vectors.copy()
        column = self._catalogue.names.index(feature)
        typical[:, column] = self._catalogue.typical[column]
        try:
            return float(np.mean(self._decided(self._vectors) != self._decided(typical)))
        except Exception:  # perhaps a learner's model: the share that training's decisions had is what is left
            return 0.0

    def _decided(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        scores = self._predictor.probabilities(vectors).tolist()
        return np.array([self._decision.decide(score) == "warn" for score in scores])
