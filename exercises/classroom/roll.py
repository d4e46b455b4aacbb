"""Who is in a class, for its instructor: learners are removed, and the code is changed, also while the board runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from exercises.classroom.errors import ClassroomError
from exercises.classroom.keys import new_code
from exercises.classroom.pseudonyms import looks
from exercises.classroom.store import connect

TABLES = ("stumbles", "latest", "posts", "learners")
SILENT = "SELECT learner, name FROM learners WHERE posts = 0"


def clean_up(file: Path, names: Sequence[str], *, silent: bool, new_code: bool) -> Iterator[str]:
    """Do what :func:`remove` and :func:`change_code` do, and say so.

    Raises:
        ClassroomError: as they do.
    """
    if names or silent:
        gone = remove(file, names, silent=silent)
        yield f"Removed {len(gone)}: {', '.join(gone)}." if gone else "Nobody was removed."
    if new_code:
        yield f"The code is {change_code(file)} now. Those who are in stay in; the board's page shows the new one."


def remove(file: Path, names: Sequence[str], *, silent: bool = False) -> list[str]:
    """Remove learners and all their results.

    Args:
        file: of the class.
        names: their pseudonyms, in any spelling.
        silent: remove those too who have not posted anything.

    Returns:
        The names of those who were removed, in order.

    Raises:
        ClassroomError: if there is no such class, or a name is nobody's; then nobody is removed.
    """
    with closing(_class(file)) as db, db:
        try:
            db.execute("BEGIN IMMEDIATE")
            known = {
                look: (learner, name)
                for learner, name, look in db.execute("SELECT learner, name, folded FROM learners")
            }
            if missing := [name for name in names if looks(name) not in known]:
                raise ClassroomError(
                    f"Nobody in {file} is called {', '.join(missing)}. The board's page shows all names."
                )
            gone = dict(known[looks(name)] for name in names)
            gone |= dict(db.execute(SILENT)) if silent else {}
            for table in TABLES:
                db.executemany(f"DELETE FROM {table} WHERE learner = ?", [(learner,) for learner in gone])
        except sqlite3.Error as error:
            raise ClassroomError(f"{file} cannot be written ({error}). Try again.") from None
    return sorted(gone.values())


def change_code(file: Path) -> str:
    """Give the class a new code, and return it. Those who are in stay in.

    Raises:
        ClassroomError: if there is no such class.
    """
    code = new_code()
    with closing(_class(file)) as db:
        try:
            db.execute("UPDATE secrets SET value = ? WHERE name = 'code'", (code,))
        except sqlite3.Error as error:
            raise ClassroomError(f"{file} cannot be written ({error}). Try again.") from None
    return code


def _class(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise ClassroomError(f"There is no class in {file}. Name its file with --file.")
    db = connect(file)
    try:
        db.execute("SELECT value FROM secrets WHERE name = 'code'").fetchone()
    except sqlite3.Error as error:
        db.close()
        raise ClassroomError(f"{file} is not the file of a class ({error}).") from None
    return db
