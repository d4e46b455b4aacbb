"""Makes ``exercises/`` from ``solutions/``: the two are one text, so they cannot drift apart.

In a solution, what stands between ``# BEGIN SOLUTION`` and ``# END SOLUTION`` is taken out. Lines after a ``# TASK`` in
between take its place, without their ``# ``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from exercises.registry import EXERCISES
from labserver.errors import LabError

BEGIN, TASK, END = "# BEGIN SOLUTION", "# TASK", "# END SOLUTION"


def task_of(solution: str) -> str:
    """The exercise's text.

    Raises:
        LabError: if a block is not closed, has no task, or there is none; names the line.
    """
    return "".join(_lines(solution)).rstrip() + "\n"


def _lines(solution: str) -> Iterator[str]:
    state, blocks = "outside", 0
    for number, line in enumerate(solution.splitlines(keepends=True), start=1):
        mark = line.strip()
        expected = {BEGIN: "outside", TASK: "solution", END: "task"}.get(mark)
        if expected:
            if state != expected:
                raise LabError(f"Line {number}: {mark} stands where none may be (in: {state}).")
            state = {BEGIN: "solution", TASK: "task", END: "outside"}[mark]
            blocks += mark == END
        elif state == "outside":
            yield line
        elif state == "task":
            if not re.match(r"\s*#( |$)", line):
                raise LabError(f"Line {number}: a line of a task begins with `# `.")
            yield re.sub(r"^(\s*)# ?", r"\1", line) if line.strip() != "#" else "\n"
    if state != "outside" or not blocks:
        raise LabError("A solution has at least one block from BEGIN SOLUTION by TASK to END SOLUTION.")


def main() -> None:
    """``make exercises``: write every exercise anew; with ``--check``, only say which differ."""
    stale = []
    for exercise in EXERCISES:
        text = task_of(exercise.solution.read_text(encoding="utf-8"))
        if not exercise.task.exists() or exercise.task.read_text(encoding="utf-8") != text:
            stale.append(exercise.file)
            if "--check" not in sys.argv:
                Path(exercise.task).write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"Not as generated: {', '.join(stale)}. Run `make exercises`.")


if __name__ == "__main__":
    main()
