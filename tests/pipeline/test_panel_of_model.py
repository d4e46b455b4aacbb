"""The panel is the trained model's answers to training rows, and finds an export that moved a threshold."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from plain_export import plain
from rewritten import rewrite
from services import own_home, refusal
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.errors import Damaged
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.features.signature import Signature
from labserver.finished import predictor
from labserver.model.bundle import Bundle
from labserver.model.panel import TOLERANCE
from labserver.model.predictor import OnnxPredictor
from labserver.parts import Context
from labserver.pipeline.export import comparisons, export, signed
from labserver.pipeline.panel import ORDINARY, PLACES, around, golden_panel
from labserver.settings import Settings


@pytest.fixture(scope="module")
def model(settings: Settings) -> HistGradientBoostingClassifier:
    trained: HistGradientBoostingClassifier = pickle.loads(settings.experiment.read_bytes())["model"]
    return trained


@pytest.fixture(scope="module")
def train(warehouse: duckdb.DuckDBPyConnection, joined: NDArray[np.float32], catalogue: Catalogue) -> pd.DataFrame:
    """Prepared features of all flights before September."""
    earlier = warehouse.execute(
        "SELECT scheduled_departure < TIMESTAMPTZ '2013-09-01 00:00:00-04' FROM flights ORDER BY flight_id"
    ).fetchall()
    return pd.DataFrame(clean(joined[np.array(earlier)[:, 0]], catalogue), columns=catalogue.names)


@pytest.fixture(scope="module")
def plain_model(model: HistGradientBoostingClassifier, bundle: Bundle) -> bytes:
    return signed(plain(model, len(bundle.signature.features)), bundle.signature)


def test_the_panel_comes_from_the_training_months_alone(
    model: HistGradientBoostingClassifier, train: pd.DataFrame, bundle: Bundle
) -> None:
    made = golden_panel(model, train)
    assert made.rows.tobytes() == bundle.golden.rows.tobytes()
    assert made.probabilities.tobytes() == bundle.golden.probabilities.tobytes()
    assert ORDINARY * 0.9 < len(made.rows) - 3 * PLACES <= ORDINARY


def test_its_answers_are_scikit_learns_own(model: HistGradientBoostingClassifier, bundle: Bundle) -> None:
    panel = bundle.golden
    theirs = model.predict_proba(pd.DataFrame(panel.rows, columns=model.feature_names_in_))[:, 1]
    assert panel.probabilities.tobytes() == theirs.astype(np.float32).tobytes()
    ours = OnnxPredictor(bundle.model).probabilities(panel.rows)
    assert (ours != panel.probabilities).any(), "the export's own answers would agree with every export"


def test_a_plain_export_passes_one_ordinary_vector_and_fails_the_panel(
    settings: Settings, bundle: Bundle, catalogue: Catalogue, plain_model: bytes
) -> None:
    panel = bundle.golden
    answers = OnnxPredictor(plain_model).probabilities(panel.rows)
    ordinary = np.abs(answers[:ORDINARY] - panel.probabilities[:ORDINARY])
    assert ordinary[0] <= TOLERANCE
    assert ordinary.max() <= TOLERANCE, "the same for every other ordinary row"
    predictor(Context(settings, bundle, catalogue), 1)
    for threads in (1, 2):
        with pytest.raises(
            Damaged, match=r"answers [1-9]\d* of the \d+ rows .* by up to 0\.0\d+\. Run `labserver build`\."
        ):
            predictor(Context(settings, replace(bundle, model=plain_model), catalogue), threads)


@pytest.mark.slow
def test_a_bundle_with_a_plain_export_does_not_start(
    home: Path, tmp_path: Path, bundle: Bundle, plain_model: bytes
) -> None:
    """Its hashes are right: only the answers show it."""
    forged = tmp_path / "forged"
    rewrite(forged / "bundle", bundle, {"model.onnx": plain_model})
    code, said = refusal(own_home(home, forged))
    assert (code, "rows of the bundle's golden panel" in said, "labserver build" in said) == (1, True, True)


def test_every_threshold_that_no_float32_equals_is_on_the_panel(
    model: HistGradientBoostingClassifier, bundle: Bundle
) -> None:
    on_edges = bundle.golden.rows[-3 * PLACES :]
    nodes = np.unique(comparisons(model)[["feature_idx", "num_threshold"]])
    rounded = nodes[nodes["num_threshold"].astype(np.float32) != nodes["num_threshold"]]
    assert 5 < len(rounded) < PLACES
    for feature, threshold in rounded:
        assert (on_edges[:, feature] == np.float32(threshold)).any()
        assert (on_edges[:, feature] <= threshold).any()
        assert (on_edges[:, feature] > threshold).any()


def test_a_row_is_put_on_both_sides_of_each_threshold() -> None:
    rows = np.array([[1, 2], [3, 4]], np.float32)
    three = around(rows, np.array([0, 1, 1]), np.array([0.1, 0.5, 0.425]))
    assert three.shape == (3, 2, 3, 2)
    assert three.dtype == np.float32
    for place, (feature, threshold) in enumerate([(0, 0.1), (1, 0.5), (1, 0.425)]):
        changed, kept = three[place, :, :, feature], three[place, :, :, 1 - feature]
        assert (kept == rows[:, 1 - feature, np.newaxis]).all()
        assert (changed == changed[0]).all()
        below, near, above = changed[0]
        assert below < near < above
        assert near == np.float32(threshold)
        assert below < threshold < above
        assert np.nextafter(below, above) == near == np.nextafter(above, below)


@pytest.mark.parametrize("names", [["visibility", "origin_late_share"], ["humidity"]], ids=len)
def test_a_model_of_fewer_features_has_a_panel_of_its_own(
    train: pd.DataFrame, catalogue: Catalogue, names: Sequence[str]
) -> None:
    late = train["plane_delay"].to_numpy() > 20
    small = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(train[names], late)
    panel = golden_panel(small, train[names])
    assert panel.rows.shape[1] == len(names)
    panel.check(OnnxPredictor(export(small, Signature.of(catalogue, names))).probabilities(panel.rows))


def test_a_model_without_a_comparison_has_ordinary_rows_alone(train: pd.DataFrame, catalogue: Catalogue) -> None:
    late = train["plane_delay"].to_numpy() > 20
    constant = HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=len(train)).fit(train[["humidity"]], late)
    panel = golden_panel(constant, train[["humidity"]])
    assert len(panel.rows) <= ORDINARY
    assert len(set(panel.probabilities.tolist())) == 1


def test_the_one_threshold_of_a_stump_is_enough_to_find_a_plain_export() -> None:
    # The only split is at 1.1, half way between 1.0 and 1.2; as a float32, 1.1 is more than 1.1.
    data = pd.DataFrame({"a": np.repeat(np.array([1.0, 1.2], np.float32), 200)})
    data["a"] = data["a"].astype(np.float64).round(1)  # the midpoint is then 1.1 in float64
    stump = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2).fit(data, data["a"] > 1.1)
    panel = golden_panel(stump, data)
    panel.check(OnnxPredictor(export(stump, Signature((("a", "1"),)))).probabilities(panel.rows))
    with pytest.raises(Damaged, match="answers 1 of the"):
        panel.check(OnnxPredictor(plain(stump, 1)).probabilities(panel.rows))
