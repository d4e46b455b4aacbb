"""A pytest plugin for the nbval run: keeps what the cells really answered, as a notebook at ``--keep-outputs``."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-outputs", type=Path)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After the comparison: the new outputs take the place of the stored ones."""
    item.cell.outputs = item.test_outputs or []  # type: ignore[attr-defined]
    nbformat.write(item.parent.nb, item.config.getoption("--keep-outputs"))  # type: ignore[union-attr]
