"""A table that the model must not train on is refused, and the column is named."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.pipeline.frames import check_frame


@pytest.fixture
def table(catalogue: Catalogue) -> NDArray[np.float32]:
    """Three typical flights."""
    return np.array([[f.trained.typical for f in catalogue.features if f.trained]] * 3, np.float32)


def test_a_complete_and_possible_table_gets_the_names_of_the_catalogue(
    table: NDArray[np.float32], catalogue: Catalogue
) -> None:
    frame = check_frame(table, 3, catalogue)
    assert tuple(frame.columns) == catalogue.names
    assert frame.to_numpy().tobytes() == table.tobytes()


@pytest.mark.parametrize("name", ["pressure", "plane_age", "departure_hour"])
def test_a_missing_value_is_refused_with_its_column(
    table: NDArray[np.float32], catalogue: Catalogue, name: str
) -> None:
    table[1, catalogue.names.index(name)] = np.nan
    with pytest.raises(LabError, match=f"breaks its schema: {name}, check not_nullable"):
        check_frame(table, 3, catalogue)


@pytest.mark.parametrize(("name", "value"), [("wind_speed", 1048.0), ("pressure", 0.0), ("weekday", 8.0)])
def test_an_impossible_value_is_refused_with_its_column_and_the_value(
    table: NDArray[np.float32], catalogue: Catalogue, name: str, value: float
) -> None:
    table[2, catalogue.names.index(name)] = value
    with pytest.raises(LabError, match=rf"breaks its schema: {name}, .*value {value:.5g}"):
        check_frame(table, 3, catalogue)


@pytest.mark.parametrize("rows", [2, 4])
def test_lost_or_doubled_rows_are_refused(table: NDArray[np.float32], catalogue: Catalogue, rows: int) -> None:
    with pytest.raises(LabError, match=rf"Expected {rows} rows of 17 features, got \(3, 17\)"):
        check_frame(table, rows, catalogue)


def test_a_lost_column_is_refused(table: NDArray[np.float32], catalogue: Catalogue) -> None:
    with pytest.raises(LabError, match=r"Expected 3 rows of 17 features, got \(3, 16\)"):
        check_frame(table[:, 1:], 3, catalogue)


def test_another_dtype_is_refused(table: NDArray[np.float32], catalogue: Catalogue) -> None:
    with pytest.raises(LabError, match=r"breaks its schema: .*float32"):
        check_frame(table.astype(np.float64), 3, catalogue)
