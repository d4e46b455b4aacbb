"""Estimates a cell's height on a slide from its lines: enough to choose the cells of one slide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nbformat import NotebookNode

WIDTH, HEIGHT = 1280, 720
"""Of a slide, in pixels before it is scaled to the wall."""
USABLE_HEIGHT = HEIGHT - 60
"""Without the margins of ``deck.css``."""
HEADING, WORDS, LETTERS, CODE, PICTURE, ROW = 66, 34, 95, 25, 425, 33
"""Pixels of a heading, of a line of words, its letters; of a line of code, a picture, and a table's row."""


def fits(cells: Sequence[NotebookNode], *, continued: bool) -> bool:
    """True if the cells fit on one slide, below the heading that they continue, if any."""
    return sum(map(_height, cells)) + HEADING * continued <= USABLE_HEIGHT


def _height(cell: NotebookNode) -> int:
    if cell.cell_type == "markdown":
        return sum(_words(line) for line in cell.source.splitlines())
    return _lines(cell.source) + sum(map(_output, cell.outputs))


def _words(line: str) -> int:
    if line.startswith("#"):
        return HEADING
    return math.ceil(len(line) / LETTERS) * WORDS if line else WORDS // 2


def _lines(text: str) -> int:
    return CODE * len(text.splitlines()) + 24 if text else 0


def _output(output: NotebookNode) -> int:
    data = output.get("data", {})
    if "image/png" in data:
        return PICTURE
    html = str(data.get("text/html", ""))
    if html:
        return ROW * (html.count("<tr") + 2 * html.count("<p")) + 24
    return _lines(output.get("text", "") or data.get("text/plain", ""))
