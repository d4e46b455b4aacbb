"""The notebooks together."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from claims import EXPECTED, NOTEBOOKS, lesson_of
from taken_away import without


def test_there_is_one_notebook_for_each_lesson_with_claims() -> None:
    assert [lesson_of(path) for path in NOTEBOOKS] == sorted(EXPECTED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_takes_a_lesson_away_fits_its_notebook(path: Path) -> None:
    """``taken_away.py`` shows that the claims can fail; that takes minutes. That its texts are there takes none."""
    changed = {cell.source for cell in without(path).cells} - {
        cell.source for cell in nbformat.read(path, as_version=4).cells
    }
    assert changed
