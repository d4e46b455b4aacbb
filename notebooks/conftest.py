"""For ``pytest --nbval``: the record of a claim holds a measured value, so it is not compared.

The sentence of the claim, with its bound, is: it is an output of its own kind in the same cell.
"""

from __future__ import annotations

import pytest

RECORD = "application/scrapbook.scrap.json+json"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Add the record's type to what nbval skips in this notebook; it skips pictures by itself."""
    notebook = item.parent
    if RECORD not in getattr(notebook, "skip_compare", (RECORD,)):
        notebook.skip_compare = (*notebook.skip_compare, RECORD)  # type: ignore[union-attr]
