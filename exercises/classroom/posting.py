"""Sends the result of a check to the board, in a thread and without messages, so that it never disturbs the check.

A post is first a file in ``work/.classroom/waiting/``. Then a thread sends all that wait, in their order, and removes
those that the board has on disk. The others (the board was away, or the program ended) wait for the next post.
The board counts each post once, by its id, so that sending again does no harm.
"""

from __future__ import annotations

import atexit
import json
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from exercises.checks.result import Result, State
from exercises.classroom.errors import ClassroomError, RefusedByBoard
from exercises.classroom.membership import CLASSROOM_FOLDER, membership, write_private
from exercises.classroom.wire import post

POST_SECONDS = 3.0
"""For one request to the board. Only the thread waits for it."""
AT_EXIT_SECONDS = 0.5
"""Seconds that a finished program waits for the thread before it ends."""
MOST_WAITING = 50
"""Most posts that wait. Beyond that the oldest are dropped: attempts are counted here, not on the board."""
TITLE_LENGTH = 200

_sending = threading.Lock()
_threads: list[threading.Thread] = []


def post_result(work: Path, result: Result) -> None:
    """Post the result of a check, if the learner of this folder has joined a board. Never raises, never waits."""
    with suppress(Exception):  # a check must not fail for the board's sake, whatever is wrong with it
        if membership(work) is None:
            return
        put(work, result)
        _start(work)


def put(work: Path, result: Result) -> None:
    """Queue a post for the board, exactly as it is sent: nothing of the learner's code, files or values."""
    body = {
        "id": uuid.uuid4().hex,
        "lesson": result.lesson,
        "state": result.state.value,
        "attempts": _counted(work, result),
        "failing": _failing(result),
    }
    write_private(_waiting(work) / f"{time.time_ns():020}-{body['id']}.json", json.dumps(body))


def deliver(work: Path) -> None:
    """Send the waiting posts, and remove those that the board has on disk or will never take.

    Raises:
        ClassroomError: if something still waits; says why.
    """
    board = membership(work)
    files = sorted(_waiting(work).glob("[0-9]*.json"))
    if board is None or not files:
        return
    for old in files[:-MOST_WAITING]:
        old.unlink(missing_ok=True)
    files = files[-MOST_WAITING:]
    body = {"posts": [json.loads(file.read_bytes()) for file in files]}
    try:
        post(board.board, "/results", body, token=board.token, certificate=board.certificate, seconds=POST_SECONDS)
    except RefusedByBoard as error:
        if error.status not in {400, 409, 413, 422}:  # it may take them another time
            raise
    for file in files:
        file.unlink(missing_ok=True)


def waiting(work: Path) -> int:
    """Number of posts that the board does not have."""
    return len(list(_waiting(work).glob("[0-9]*.json")))


def _start(work: Path) -> None:
    if not _threads:
        atexit.register(_settle)
    _threads[:] = [thread for thread in _threads if thread.is_alive()]
    thread = threading.Thread(target=_send, args=(work,), name="classroom-post", daemon=True)
    thread.start()
    _threads.append(thread)


def _send(work: Path) -> None:
    with _sending, suppress(ClassroomError, OSError, ValueError):
        deliver(work)


def _settle() -> None:
    ends = time.monotonic() + AT_EXIT_SECONDS
    for thread in _threads:
        thread.join(max(0.0, ends - time.monotonic()))


def _waiting(work: Path) -> Path:
    return work / CLASSROOM_FOLDER / "waiting"


def _failing(result: Result) -> str:
    """The title of the first check that failed, from the course's own text, and the mistake's name if it has one."""
    if result.state is not State.NOT_YET or (first := result.next) is None:
        return ""
    return (f"{first.what.rstrip('.')} ({first.mistake})" if first.mistake else first.what)[:TITLE_LENGTH]


def _counted(work: Path, result: Result) -> int:
    """Checks of this lesson's edited file since the learner joined, with this one."""
    file = work / CLASSROOM_FOLDER / "attempts.json"
    with FileLock(work / CLASSROOM_FOLDER / "lock"):  # a notebook and ``lab watch`` may check at the same time
        counts: dict[str, int] = json.loads(file.read_bytes()) if file.exists() else {}
        count = counts.get(str(result.lesson), 0)
        if result.state is not State.NOT_ATTEMPTED:
            count += 1
            write_private(file, json.dumps(counts | {str(result.lesson): count}))
    return count
