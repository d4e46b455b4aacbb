"""``check(N)``: in a notebook, the same check as ``lab check N``."""

from __future__ import annotations

from functools import partial
from html import escape

from IPython.core.interactiveshell import InteractiveShell
from IPython.display import clear_output

from exercises.checks.result import State
from exercises.lab.course import check_lesson
from exercises.lab.shown import html, result_lines
from exercises.lab.telling import LinePrinter
from labserver.errors import LabError


class ShownResult:
    """A result that a notebook shows as HTML and a terminal as text."""

    def __init__(self, text: str, rich: str) -> None:
        self._text, self._rich = text, rich

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._rich


def check(lesson: int) -> ShownResult:
    """Check the learner's file of a lesson with a running service. Never raises: errors are shown.

    Findings are printed as they come; the result then replaces them.
    """
    try:
        result = check_lesson(lesson, LinePrinter(partial(print, flush=True)))
    except LabError as error:
        return ShownResult(str(error), f"<p>{escape(str(error))}</p>")
    except KeyboardInterrupt:
        return ShownResult("Stopped.", "<p>Stopped.</p>")
    if result.state is not State.NOT_ATTEMPTED and InteractiveShell.initialized():
        clear_output()  # type: ignore[no-untyped-call]
    return ShownResult("\n".join(result_lines(result)), html(result))
