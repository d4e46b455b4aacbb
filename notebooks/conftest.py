"""For ``pytest --nbval``: the record of a claim holds a measured value, so it is not compared.

The sentence of the claim, with its bound, is: it is an output of its own kind in the same cell.
"""

from __future__ import annotations

import pytest

from exercises.lab.record import CLAIM_TYPE


def pytest_itemcollected(item: pytest.Item) -> None:
    """Add the record's type to what nbval skips in this notebook; it skips pictures by itself."""
    notebook = item.parent
    if CLAIM_TYPE not in getattr(notebook, "skip_compare", (CLAIM_TYPE,)):
        notebook.skip_compare = (*notebook.skip_compare, CLAIM_TYPE)  # type: ignore[union-attr]
