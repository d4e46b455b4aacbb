"""A golden panel is kept to the last bit, and an answer that differs is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rewritten import rewrite

from labserver.errors import Damaged
from labserver.model.bundle import GOLDEN, Bundle, load_bundle, to_json
from labserver.model.panel import GoldenPanel

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
PANEL = GoldenPanel(np.zeros((4, 2), np.float32), np.array([0.1, 0.2, 0.3, 0.4], np.float32))


@given(st.lists(st.tuples(FLOATS, FLOATS, FLOATS), min_size=1))
def test_every_float32_survives_the_file_to_the_last_bit(rows: list[tuple[float, ...]]) -> None:
    matrix = np.array(rows, np.float32)
    panel = GoldenPanel(matrix, matrix[:, 0])
    read = GoldenPanel.read(json.loads(to_json(panel.shown())), 3)
    assert read.rows.dtype == read.probabilities.dtype == np.float32
    assert read.rows.tobytes() == panel.rows.tobytes()
    assert read.probabilities.tobytes() == panel.probabilities.tobytes()


def test_answers_within_the_tolerance_pass() -> None:
    PANEL.check(PANEL.probabilities + np.float32(9e-7))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([0.1, 0.2, 0.3, 0.400002], "answers 1 of the 4 rows"),
        ([0.1, 0.25, 0.3, 0.3], "answers 2 of the 4 rows"),
        ([0.1, 0.2, 0.3, float("nan")], "answers 1 of the 4 rows"),
    ],
    ids=["a little", "two rows", "no number"],
)
def test_the_rows_that_differ_are_counted(answers: list[float], said: str) -> None:
    with pytest.raises(Damaged, match=said) as caught:
        PANEL.check(np.array(answers, np.float32))
    assert str(caught.value).endswith("Run `labserver build`.")


def test_the_largest_difference_is_named() -> None:
    answers: NDArray[np.float32] = PANEL.probabilities + np.array([0, 0.003, 0, -0.1], np.float32)
    with pytest.raises(Damaged, match=r"by up to 0\.1\. "):
        PANEL.check(answers)


ROW = [0.0] * 17


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"rows": [ROW]},
        {"rows": [], "probabilities": []},
        {"rows": 7, "probabilities": [0.5]},
        {"rows": [ROW], "probabilities": [0.5, 0.5]},
        {"rows": [ROW[:-1]], "probabilities": [0.5]},
        {"rows": [ROW, ROW[:-1]], "probabilities": [0.5, 0.5]},
        {"rows": [[*ROW[:-1], None]], "probabilities": [0.5]},
        {"rows": [[*ROW[:-1], "late"]], "probabilities": [0.5]},
        {"rows": [ROW], "probabilities": [[0.5]]},
    ],
    ids=lambda data: json.dumps(data)[:60],
)
def test_a_file_that_is_no_panel_of_the_model_is_named_even_with_a_right_hash(
    bundle: Bundle, tmp_path: Path, data: Any
) -> None:
    rewrite(tmp_path / "bundle", bundle, {GOLDEN: to_json(data)})
    forged = load_bundle(tmp_path / "bundle")
    with pytest.raises(Damaged, match=r"golden\.json .*Run `labserver build`"):
        forged.golden  # noqa: B018
