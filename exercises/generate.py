"""Makes ``exercises/`` from ``solutions/``: the two are one text, so they cannot drift apart.

In a solution, what stands between ``# BEGIN SOLUTION`` and ``# END SOLUTION`` is taken out. Lines after a ``# TASK`` in
between take its place, without their ``# ``. A ``# TASK: words`` ends the block with an error that says these words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from exercises.registry import EXERCISES
from labserver.errors import LabError

MARK = re.compile(r"(?P<indent>\s*)# (?P<word>BEGIN SOLUTION|TASK|END SOLUTION)(: (?P<words>.+))?$")
AFTER = {"BEGIN SOLUTION": "outside", "TASK": "solution", "END SOLUTION": "task"}
"""Where each mark may stand."""
INTO = {"BEGIN SOLUTION": "solution", "TASK": "task", "END SOLUTION": "outside"}


def task_of(solution: str) -> str:
    """The exercise's text.

    Raises:
        LabError: if a block is not closed, has no task, or there is none; names the line.
    """
    return "".join(_lines(solution)).rstrip() + "\n"


def _lines(solution: str) -> Iterator[str]:
    state, blocks, words = "outside", 0, None
    for number, line in enumerate(solution.splitlines(keepends=True), start=1):
        if mark := MARK.match(line.rstrip("\n")):
            if state != AFTER[mark["word"]]:
                raise LabError(f"Line {number}: {line.strip()} stands where none may be (in: {state}).")
            if mark["word"] == "END SOLUTION":
                blocks += 1
                if words:
                    yield f'{mark["indent"]}raise NotImplementedError("{words}")\n'
            state, words = INTO[mark["word"]], mark["words"]
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
