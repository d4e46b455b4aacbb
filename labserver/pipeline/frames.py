"""The schema of a table of features, made from the catalogue and checked with pandera. Build time only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue


def schema(catalogue: Catalogue) -> pa.DataFrameSchema:
    """A table the model may train on: exactly the catalogue's columns in its order, float32, complete and possible."""
    return pa.DataFrameSchema(
        {
            feature.name: pa.Column(
                np.float32, pa.Check.in_range(feature.possible.low, feature.possible.high), nullable=False
            )
            for feature in catalogue.features
        },
        strict=True,
        ordered=True,
    )


def check_frame(matrix: NDArray[np.float32], rows: int, catalogue: Catalogue) -> pd.DataFrame:
    """Name the columns of a matrix of shape (rows, features) and hold it to the schema.

    Raises:
        LabError: if rows were lost or doubled, or a value breaks the schema; names the column and the first value.
    """
    if matrix.shape != (rows, len(catalogue.names)):
        raise LabError(f"Expected {rows:,} rows of {len(catalogue.names)} features, got {matrix.shape}.")
    frame = pd.DataFrame(matrix, columns=list(catalogue.names))
    try:
        return schema(catalogue).validate(frame, lazy=True)
    except SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        raise LabError(
            f"The feature table breaks its schema: {first['column']}, check {first['check']}, "
            f"value {first['failure_case']} ({len(error.failure_cases):,} cases)."
        ) from None
