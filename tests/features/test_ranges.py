from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labserver.errors import LabError, Refused
from labserver.features.catalogue import Catalogue
from labserver.features.frames import check_frame
from labserver.features.ranges import CatalogueRanges, TypicalValues, adjustments


def typical(catalogue: Catalogue) -> NDArray[np.float32]:
    return np.array([[f.trained.typical for f in catalogue.features if f.trained]], np.float32)


def test_values_that_training_saw_are_left_alone(catalogue: Catalogue, joined: NDArray[np.float32]) -> None:
    row = joined[100_000:100_500].copy()
    seen = row.copy()
    CatalogueRanges(catalogue).apply(row)
    assert np.array_equal(row, seen, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "sent", "used", "action"),
    [
        ("wind_speed", 1048.36, "typical", "imputed"),
        ("visibility", -1, "typical", "imputed"),
        ("pressure", float("nan"), "typical", "imputed"),
        ("plane_seats", 700, "high", "clipped"),
        ("pressure", 900, "low", "clipped"),
    ],
)
def test_each_policy_is_applied_and_shown(catalogue: Catalogue, name: str, sent: float, used: str, action: str) -> None:
    trained = catalogue[name].trained
    assert trained is not None
    expected = {"typical": trained.typical, "high": trained.seen.high, "low": trained.seen.low}[used]
    row = typical(catalogue)
    row[0, catalogue.names.index(name)] = sent
    received = row[0].copy()
    CatalogueRanges(catalogue).apply(row)
    TypicalValues(catalogue).apply(row)
    [shown] = adjustments(catalogue, received, row[0])
    assert (shown.feature, shown.action, shown.used) == (name, action, np.float32(expected))
    assert shown.received is None if np.isnan(sent) else shown.received == np.float32(sent)


def test_a_client_may_not_send_the_impossible(catalogue: Catalogue) -> None:
    ranges = CatalogueRanges(catalogue)
    ranges.check_override("wind_speed", 90)
    with pytest.raises(Refused) as refused:
        ranges.check_override("wind_speed", 1048)
    assert (refused.value.field, refused.value.allowed) == ("overrides.wind_speed", "0 to 150 mph")


@given(st.lists(st.floats(width=32), min_size=17, max_size=17))
def test_whatever_comes_in_what_goes_out_is_possible(catalogue: Catalogue, values: list[float]) -> None:
    one = np.array([values], np.float32)
    many = np.repeat(one, 3, axis=0)
    for matrix in (one, many):
        CatalogueRanges(catalogue).apply(matrix)
        TypicalValues(catalogue).apply(matrix)
    assert all(f.possible.holds(v) for f, v in zip(catalogue.features, one[0].tolist(), strict=True))
    assert many.tobytes() == one.tobytes() * 3


def test_a_matrix_of_another_kind_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(LabError, match="must be float32"):
        TypicalValues(catalogue).apply(np.zeros((1, 17)))  # type: ignore[arg-type]
    with pytest.raises(LabError, match=r"\(1, 3\)"):
        TypicalValues(catalogue).apply(np.zeros((1, 3), np.float32))


def test_the_schema_names_the_column_at_fault(catalogue: Catalogue) -> None:
    frame = np.repeat(typical(catalogue), 5, axis=0)
    check_frame(frame, 5, catalogue)
    with pytest.raises(LabError, match="Expected 6 rows"):
        check_frame(frame, 6, catalogue)
    for value in (np.nan, 1048.0):
        frame[2, catalogue.names.index("wind_speed")] = value
        with pytest.raises(LabError, match="wind_speed"):
            check_frame(frame, 5, catalogue)
