"""The predictor's answers do not depend on how many rows are asked at once, nor on the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 2, 49, 50, 64, 100, 1000])
def test_an_answer_in_a_batch_is_the_answer_alone_bit_for_bit(
    bundle: Bundle, joined: NDArray[np.float32], threads: int, rows: int
) -> None:
    some = np.nan_to_num(joined[5000:6000])
    one = OnnxPredictor(bundle.model)
    alone = np.concatenate([one.probabilities(some[n : n + 1]) for n in range(len(some))])
    predictor = OnnxPredictor(bundle.model, threads=threads)
    batches = [predictor.probabilities(some[n : n + rows]) for n in range(0, len(some), rows)]
    assert np.concatenate(batches).tobytes() == alone.tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_no_row_has_no_answer(bundle: Bundle, joined: NDArray[np.float32], threads: int) -> None:
    assert OnnxPredictor(bundle.model, threads=threads).probabilities(joined[:0]).shape == (0,)
