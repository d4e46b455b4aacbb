"""``check(N)``: in a notebook, the same check as ``lab check N``."""

from __future__ import annotations

from exercises.course import check_lesson
from exercises.shown import html, lines
from labserver.errors import LabError


class Shown:
    """A result that a notebook shows as HTML and a terminal as text."""

    def __init__(self, text: str, rich: str) -> None:
        self._text, self._rich = text, rich

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._rich


def check(lesson: int) -> Shown:
    """Check the learner's file of a lesson against a live service. Never raises: what is wrong is shown."""
    try:
        result = check_lesson(lesson)
    except LabError as error:
        return Shown(str(error), f"<p>{error}</p>")
    return Shown("\n".join(lines(result)), html(result))
