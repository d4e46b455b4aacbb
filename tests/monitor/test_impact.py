"""A finding is a page if decisions depend on its feature; the model itself is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from two_features import CATALOGUE, REFERENCE, answered

from labserver.features.signature import Signature
from labserver.monitor.drift import Finding
from labserver.monitor.impact import Impact
from labserver.monitor.served import Served
from labserver.service.decision import ExpectedCost

WARNS_FROM_ONE_HALF = ExpectedCost(1.0, 1.0)
RARELY_USED = replace(REFERENCE, decides=np.array([0.0, 0.0, np.nan]))


class WarnsInWind:
    """Above 30 mph; pressure is of no account."""

    signature: Signature | None = None

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(matrix[:, 0] > 30, np.float32(0.9), np.float32(0.1))


class Fails:
    """A model that cannot be asked."""

    signature: Signature | None = None

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError("no")


def windy(share: int) -> Served:
    """A hundred answers, so many with 40 mph; the others with the typical 10."""
    return Served.from_answers([answered(used=(40 if n < share else 10, 1000)) for n in range(100)])


def about(feature: str | None, affected: float | None = 1.0) -> Finding:
    return Finding("FeatureJump", "ticket", "It moved.", feature, affected)


@pytest.mark.parametrize(("share", "severity"), [(4, "ticket"), (5, "page"), (50, "page")])
def test_one_decision_in_twenty_makes_a_page(share: int, severity: str) -> None:
    impact = Impact(CATALOGUE, RARELY_USED, WarnsInWind(), WARNS_FROM_ONE_HALF)
    impact.served(windy(share))
    [finding] = impact.graded([about("wind")])
    assert finding.severity == severity
    assert finding.detail == f"It moved. {share:.1f}% of decisions depend on it."
    assert impact.found == {"wind": share / 100}


def test_a_feature_that_decides_nothing_stays_a_ticket() -> None:
    impact = Impact(CATALOGUE, RARELY_USED, WarnsInWind(), WARNS_FROM_ONE_HALF)
    impact.served(windy(50))
    assert impact.graded([about("pressure")])[0].severity == "ticket"


def test_what_is_lost_counts_as_much_as_it_usually_decides() -> None:
    """20 % of training's decisions depend on pressure. A third of it is missing, and has the typical value already."""
    impact = Impact(CATALOGUE, REFERENCE, WarnsInWind(), WARNS_FROM_ONE_HALF)
    impact.served(windy(0))
    assert impact.changed("pressure", 1 / 3) == pytest.approx(0.2 / 3)
    assert impact.graded([about("pressure", 1 / 3)])[0].severity == "page"
    assert impact.graded([about("pressure", 0.1)])[0].severity == "ticket"


def test_a_settled_finding_and_one_about_no_feature_stay_as_they_are() -> None:
    impact = Impact(CATALOGUE, REFERENCE, WarnsInWind(), WARNS_FROM_ONE_HALF)
    impact.served(windy(50))
    settled = [about("wind", None), about(None), about("no_feature")]
    assert impact.graded(settled) == settled
    assert impact.found == {}


def test_before_the_first_answer_the_usual_share_counts() -> None:
    impact = Impact(CATALOGUE, REFERENCE, WarnsInWind(), WARNS_FROM_ONE_HALF)
    assert impact.changed("pressure") == pytest.approx(0.2)


def test_a_model_that_cannot_be_asked_leaves_the_usual_share() -> None:
    impact = Impact(CATALOGUE, REFERENCE, Fails(), WARNS_FROM_ONE_HALF)
    impact.served(windy(50))
    assert impact.changed("pressure") == pytest.approx(0.2)


def test_the_newest_answers_count() -> None:
    impact = Impact(CATALOGUE, RARELY_USED, WarnsInWind(), WARNS_FROM_ONE_HALF)
    impact.served(windy(100))
    for _ in range(5):
        impact.served(windy(0))
    assert impact.changed("wind") == 0
