"""The notebooks together."""

from __future__ import annotations

from claims import EXPECTED, NOTEBOOKS, lesson_of


def test_there_is_one_notebook_for_each_lesson_with_claims() -> None:
    assert [lesson_of(path) for path in NOTEBOOKS] == sorted(EXPECTED)
