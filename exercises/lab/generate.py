"""Makes ``exercises/`` from ``solutions/``: the two are one text, so they cannot drift apart.

In a solution, the lines between ``# BEGIN SOLUTION`` and ``# END SOLUTION`` are removed. Lines after a ``# TASK`` in
between replace them, without their ``# ``. A ``# TASK: words`` ends the block with an error with these words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from exercises.checks.registry import EXERCISES
from labserver.errors import LabError

MARK_PATTERN = re.compile(r"(?P<indent>\s*)# (?P<word>BEGIN SOLUTION|TASK|END SOLUTION)(: (?P<words>.+))?$")
STATE_BEFORE = {"BEGIN SOLUTION": "outside", "TASK": "solution", "END SOLUTION": "task"}
"""The allowed order of the marks."""
STATE_AFTER = {"BEGIN SOLUTION": "solution", "TASK": "task", "END SOLUTION": "outside"}


def task_of(solution: str) -> str:
    """The exercise's text.

    Raises:
        LabError: if a block is not closed, has no task, or there is none; names the line.
    """
    return "".join(_lines(solution)).rstrip() + "\n"


def _lines(solution: str) -> Iterator[str]:
    state, blocks, words = "outside", 0, None
    for number, line in enumerate(solution.splitlines(keepends=True), start=1):
        if mark := MARK_PATTERN.match(line.rstrip("\n")):
            if state != STATE_BEFORE[mark["word"]]:
                raise LabError(f"Line {number}: {line.strip()} is not allowed here (in: {state}).")
            if mark["word"] == "END SOLUTION":
                blocks += 1
                if words:
                    yield f'{mark["indent"]}raise NotImplementedError("{words}")\n'
            state, words = STATE_AFTER[mark["word"]], mark["words"]
        elif state == "outside":
            yield line
        elif state == "task":
            if not re.match(r"\s*#( |$)", line):
                raise LabError(f"Line {number}: a line of a task begins with `# `.")
            yield re.sub(r"^(\s*)# ?", r"\1", line) if line.strip() != "#" else "\n"
    if state != "outside" or not blocks:
        raise LabError("A solution has at least one block from BEGIN SOLUTION by TASK to END SOLUTION.")


def main() -> None:
    """``make exercises``: write every exercise; with ``--check``, only list those that differ."""
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
