"""The table of faults: what was tried, how often, what was lost and what came back."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Protocol

WHAT, TIMES, LOST, BACK = 46, 8, 6, 78
"""Widths of the columns."""

Row = tuple[str, int, int, str]


class Note(Protocol):
    """Adds a row. ``lost`` counts what must not happen; ``came_back`` says what did."""

    def __call__(self, fault: str, tried: int, lost: int, came_back: str) -> None: ...


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """The table, wrapped."""
    yield f"{'what was tried':<{WHAT}}{'times':>{TIMES}}{'lost':>{LOST}}  what came back"
    yield "-" * (WHAT + TIMES + LOST + 2 + BACK)
    for fault, tried, lost, came_back in rows:
        left, right = textwrap.wrap(fault, WHAT - 1), textwrap.wrap(came_back, BACK)
        figures = [f"{tried:>{TIMES},}{lost:>{LOST},}"]
        for number in range(max(len(left), len(right))):
            cells = (part[number] if number < len(part) else "" for part in (left, figures, right))
            first, second, third = cells
            yield f"{first:<{WHAT}}{second:<{TIMES + LOST}}  {third}".rstrip()
