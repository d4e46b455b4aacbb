"""A model behind a catalogue gets its own features, in its own order; one that does not name them does not start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.definitions import CATALOGUE
from labserver.features.signature import Signature
from labserver.service.selection import by_name

WIDTH = len(CATALOGUE.names)
MATRIX = np.arange(3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)


class Noting:
    """A model that keeps what it was given."""

    def __init__(self, signature: Signature | None) -> None:
        self.signature = signature
        self.got = np.empty((0, 0), np.float32)

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        self.got = matrix
        return np.zeros(len(matrix), np.float32)


@given(st.lists(st.sampled_from(range(WIDTH)), unique=True, min_size=1))
def test_it_gets_the_columns_that_it_names_in_its_order(places: list[int]) -> None:
    model = Noting(Signature.of(CATALOGUE, [CATALOGUE.names[place] for place in places]))
    assert by_name(model, CATALOGUE).probabilities(MATRIX).shape == (3,)
    assert model.got.tolist() == [[row * WIDTH + place for place in places] for row in range(3)]
    assert model.got.flags.c_contiguous
    assert model.got.dtype == np.float32


def test_a_model_that_wants_the_catalogue_as_it_is_costs_nothing() -> None:
    model = Noting(Signature.of(CATALOGUE))
    assert by_name(model, CATALOGUE) is model


@pytest.mark.parametrize("model", [Noting(None), object()], ids=["None", "no attribute"])
def test_a_model_that_names_no_features_is_refused(model: Noting) -> None:
    with pytest.raises(LabError, match=r"does not say which features it wants.*Signature\.of\(context\.catalogue"):
        by_name(model, CATALOGUE)
