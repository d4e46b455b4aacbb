"""The predictor's answers do not depend on how many rows are asked at once, nor on the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.finished import predictor
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor, ThreadedPredictor
from labserver.parts import Context
from labserver.settings import Settings


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 2, 49, 50, 64, 100, 1000])
def test_an_answer_in_a_batch_is_the_answer_alone_bit_for_bit(
    bundle: Bundle, joined: NDArray[np.float32], threads: int, rows: int
) -> None:
    some = np.nan_to_num(joined[5000:6000])
    one = OnnxPredictor(bundle.model)
    alone = np.concatenate([one.probabilities(some[n : n + 1]) for n in range(len(some))])
    threaded = ThreadedPredictor(bundle.model, threads=threads)
    batches = [threaded.probabilities(some[n : n + rows]) for n in range(0, len(some), rows)]
    assert np.concatenate(batches).tobytes() == alone.tobytes()


@pytest.mark.parametrize("kind", [OnnxPredictor, ThreadedPredictor])
def test_no_row_has_no_answer(bundle: Bundle, joined: NDArray[np.float32], kind: type[OnnxPredictor]) -> None:
    assert kind(bundle.model, threads=2).probabilities(joined[:0]).shape == (0,)


@pytest.mark.parametrize(("threads", "kind"), [(None, OnnxPredictor), (1, OnnxPredictor), (2, ThreadedPredictor)])
def test_the_service_takes_the_one_that_its_threads_need(
    settings: Settings, bundle: Bundle, catalogue: Catalogue, threads: int | None, kind: type[OnnxPredictor]
) -> None:
    assert type(predictor(Context(settings, bundle, catalogue), threads)) is kind
