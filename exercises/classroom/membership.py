"""The board that a learner has joined, stored in ``work/.classroom/``, which only the learner can read."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from exercises.classroom.errors import Away, ClassroomError, RefusedByBoard
from exercises.classroom.wire import post

CLASSROOM_FOLDER = ".classroom"
JOIN_SECONDS = 10.0
"""For joining, together. A person waits."""


@dataclass(frozen=True)
class Membership:
    """A joined board: its address, the learner's pseudonym and token, the certificate to trust (PEM; empty: none)."""

    board: str
    name: str
    token: str
    certificate: str = ""


def membership(work: Path) -> Membership | None:
    """The board that the learner of this folder has joined."""
    try:
        return Membership(**json.loads((work / CLASSROOM_FOLDER / "joined.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def join(work: Path, code: str, board: str, name: str | None, certificate: str = "") -> Membership:
    """Join a board, or change the name on it.

    Raises:
        ClassroomError: says what to do about a wrong code, a taken name, or a board that is away.
    """
    before = membership(work)
    if before and before.board != board.rstrip("/"):
        raise ClassroomError(f"You have joined {before.board}. Leave it first: `lab join --leave`.")
    token = before.token if before else secrets.token_hex(16)
    wish = {"code": code, "token": token} | ({"name": name} if name else {})
    try:
        answer = post(board, "/join", wish, certificate=certificate, seconds=JOIN_SECONDS)
        now = Membership(board.rstrip("/"), str(answer["name"]), token, certificate)
    except Away as error:
        raise ClassroomError(f"{error} Is the address right, and does `lab classroom` run there?") from None
    except RefusedByBoard as error:
        raise ClassroomError(_advice(error)) from None
    except KeyError:
        raise ClassroomError(f"What answers at {board} is no board.") from None
    write_private(work / CLASSROOM_FOLDER / "joined.json", json.dumps(asdict(now)))
    return now


def leave(work: Path) -> bool:
    """Forget the board and the unsent posts. Returns true if there was one."""
    there = (work / CLASSROOM_FOLDER).exists()
    shutil.rmtree(work / CLASSROOM_FOLDER, ignore_errors=True)
    return there


def write_private(file: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone.

    Raises:
        ClassroomError: if it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
            stream.write(text)
        temporary.replace(file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise ClassroomError(f"{file} cannot be written ({error.strerror}).") from None


def _advice(error: RefusedByBoard) -> str:
    if error.status == 422 and str(error).startswith("name"):
        return "A pseudonym has 2 to 30 letters, digits, spaces and . ' - and begins with a letter or digit."
    if error.status in {404, 405}:
        return "What answers there is no board. Is the port right?"
    return str(error)
