"""``make faults`` runs these tests in full numbers and prints the table; ``make test`` runs them in small ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from table import Note, lines


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Adds a row to the table."""
    return lambda *row: record_property("fault", row)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    rows = [value for report in reports for name, value in report.user_properties if name == "fault"]
    if rows:
        terminalreporter.section("Faults")
        for line in lines(rows):
            terminalreporter.write_line(line)
