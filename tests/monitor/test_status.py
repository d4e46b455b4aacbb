"""What the dashboard shows of the model, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from two_features import CATALOGUE, REFERENCE, a_day, answered

from labserver.model.reference import BINS
from labserver.monitor.drift import Judgement
from labserver.monitor.model_metrics import ModelMetrics
from labserver.monitor.prometheus import new_registry
from labserver.monitor.served import Served
from labserver.monitor.status import Status
from labserver.monitor.tally import Tally


@pytest.fixture
def status() -> Status:
    manifest = {"model_version": "test", "bundle_hash": "0" * 64}
    return Status(CATALOGUE, REFERENCE, ModelMetrics(new_registry(), CATALOGUE, REFERENCE, manifest, 9))


def scored(*bins: int) -> Tally:
    """Predictions with this many scores in each of the first bins; the features are all in their first bin."""
    first, scores = [sum(bins), *[0] * (BINS - 1)], [*bins, *[0] * (BINS - len(bins))]
    return a_day(first, first, scores)


def test_the_share_of_warnings_is_over_every_batch(status: Status) -> None:
    assert status.shown()["predictions"]["warned_share"] is None
    status.served(Served.from_answers([answered(decision="warn"), answered(decision="warn"), answered()]))
    assert status.shown()["predictions"]["warned_share"] == 0.6667
    status.served(Served.from_answers([answered(), answered(decision="warn"), answered(), answered(), answered()]))
    assert status.shown()["predictions"]["total"] == 8
    assert status.shown()["predictions"]["warned_share"] == 0.375


def test_the_histogram_is_of_the_scores_that_were_served_and_training_is_beside_it(status: Status) -> None:
    """6 and 2 scores of the first day and 1 and 1 of the second, of 10: 0.7 in the first bin and 0.3 in the second."""
    assert status.shown()["predictions"]["shares"] == []
    nothing = np.full(3, np.nan)
    status.judged(Judgement(nothing, nothing, ()), [scored(6, 2), scored(1, 1)])
    shown = status.shown()["predictions"]
    assert shown["shares"] == [0.7, 0.3, *[0] * 8]
    assert shown["reference"] == [0.1] * 10
    assert shown["edges"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
