"""Messages about the board for a learner."""

from __future__ import annotations

from pathlib import Path

from exercises.classroom.errors import ClassroomError
from exercises.classroom.membership import Membership, membership
from exercises.classroom.posting import deliver, waiting


def promise(board: Membership) -> list[str]:
    """The text on joining, with every field that is sent."""
    return [
        f"You have joined the board at {board.board}. Your pseudonym there: {board.name}.",
        "From now on each check (`lab check`, `lab watch`, check() in a notebook) posts, and the instructor sees:",
        "  - your pseudonym,",
        "  - the number of the lesson,",
        "  - the result: not attempted, not yet or solved,",
        "  - how many checks you have run on this lesson since you joined,",
        "  - the title of the first check that failed and the name of the mistake, both in the course's own words.",
        "Never your code, names of files, or what your code was given or gave. Other learners see nothing.",
        "A check never waits for the board. `lab join` says how things stand, `lab join --leave` ends it.",
    ]


def standing(work: Path) -> list[str]:
    """The learner's membership, and the posts that the board does not have. Sends those first."""
    board = membership(work)
    if board is None:
        return [
            "You have joined no board: nothing is posted.",
            "To join one: lab join CODE --board http://ADDRESS:PORT (the instructor has both).",
        ]
    lines = [f"You have joined the board at {board.board} as {board.name}."]
    try:
        deliver(work)
    except ClassroomError as error:
        lines += [
            str(error),
            f"Results that wait for it: {waiting(work)}. They go with the next check that reaches it.",
        ]
    else:
        lines.append("Nothing waits to be posted.")
    return [*lines, "`lab join --leave` ends it."]


def left(there: bool) -> str:
    """The text on leaving."""
    if not there:
        return "You had joined no board."
    return "You have left the board: nothing is posted any more. What was posted stays with the instructor."
