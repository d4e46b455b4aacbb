"""A class on disk: its secrets, its learners, and every post. One SQLite file that only its owner can read."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from exercises.classroom.errors import ClassroomError, RefusedByBoard
from exercises.classroom.keys import fingerprint, new_code, new_key
from exercises.classroom.messages import MOST_LEARNERS, MOST_POSTS, POSTS_EACH, Post
from exercises.classroom.pseudonyms import free_name, looks
from exercises.classroom.writer import Writer

TABLES = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS learners (
    learner INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE,
    posts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS posts (
    number INTEGER PRIMARY KEY, learner INTEGER NOT NULL REFERENCES learners, id TEXT NOT NULL, received REAL NOT NULL,
    lesson INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, failing TEXT NOT NULL,
    UNIQUE (learner, id));
-- What the page shows, kept beside the posts that it follows from: the page never reads them all.
CREATE TABLE IF NOT EXISTS latest (
    learner INTEGER NOT NULL, lesson INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    failing TEXT NOT NULL, first REAL, last REAL NOT NULL, PRIMARY KEY (learner, lesson)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stumbles (
    lesson INTEGER NOT NULL, failing TEXT NOT NULL, learner INTEGER NOT NULL,
    PRIMARY KEY (lesson, failing, learner)) WITHOUT ROWID;
"""
UPSERT_LATEST = """
INSERT INTO latest VALUES (:learner, :lesson, :state, :attempts, :failing, :first, :received)
ON CONFLICT DO UPDATE SET state = excluded.state, attempts = excluded.attempts, failing = excluded.failing,
    first = coalesce(first, excluded.first), last = excluded.last
WHERE excluded.attempts >= attempts  -- an older post that comes late changes nothing
"""


class Store:
    """The file of a class."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it with new secrets.

        Raises:
            ClassroomError: if it cannot be opened, or is something else.
        """
        self.path = path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            path.chmod(0o600)  # SQLite gives the files beside it the same mode
            db, secrets = _opened(path)
        except (OSError, sqlite3.Error) as error:
            raise ClassroomError(f"{path} cannot be used as the file of a class ({error}). Name another.") from None
        self.key = secrets["key"]
        self._writer = Writer(db)
        self._code = connect(path, only_read=True)
        self._reading = threading.Lock()

    @property
    def code(self) -> str:
        """The code to join. Read each time: ``lab classroom --new-code`` changes it in the file."""
        with self._reading:
            [code] = self._code.execute("SELECT value FROM secrets WHERE name = 'code'").fetchone()
        return str(code)

    def join(self, token: str, name: str | None) -> Future[str]:
        """Let a learner in, or give one who is in already another name. The name, once it is on disk.

        The future raises :class:`RefusedByBoard` if the class is full or the name is somebody else's.
        """

        def job(db: sqlite3.Connection) -> str:
            kept = fingerprint(token)
            taken = dict(db.execute("SELECT folded, token FROM learners"))
            known = db.execute("SELECT name FROM learners WHERE token = ?", (kept,)).fetchone()
            if known and name is None:
                return str(known[0])
            if not known and len(taken) >= MOST_LEARNERS:
                raise RefusedByBoard(409, f"The class is full: {MOST_LEARNERS:,} have joined.")
            chosen = name or free_name(taken)
            if taken.get(looks(chosen), kept) != kept:
                raise RefusedByBoard(
                    409,
                    f"Somebody is called {chosen} already, or a name that looks so. Choose another --name, or none.",
                )
            db.execute(
                "INSERT INTO learners (token, name, folded) VALUES (?, ?, ?) ON CONFLICT (token) DO UPDATE SET "
                "name = excluded.name, folded = excluded.folded",
                (kept, chosen, looks(chosen)),
            )
            return chosen

        return self._writer.submit(job)

    def post(self, token: str, posts: Sequence[Post]) -> Future[int]:
        """Store posts, each once. The future's result is the number of new ones, once they are on disk.

        The future raises :class:`RefusedByBoard` if the token is nobody's, or learner or class have posted too much.
        """

        def job(db: sqlite3.Connection) -> int:
            known = db.execute("SELECT learner, posts FROM learners WHERE token = ?", (fingerprint(token),)).fetchone()
            if known is None:
                raise RefusedByBoard(401, "This board does not know you. Join it again.")
            learner, own = known
            [total] = db.execute("SELECT coalesce(max(number), 0) FROM posts").fetchone()
            if own + len(posts) > POSTS_EACH or total + len(posts) > MOST_POSTS:
                raise RefusedByBoard(
                    409, f"The board keeps no more posts: {own:,} are yours, {total:,} are there in all."
                )
            new = sum(_kept(db, learner, post) for post in posts)
            db.execute("UPDATE learners SET posts = posts + ? WHERE learner = ?", (new, learner))
            return new

        return self._writer.submit(job)

    def close(self) -> None:
        """Write the waiting posts, and close the file."""
        self._writer.close()
        with self._reading:
            self._code.close()


def _kept(db: sqlite3.Connection, learner: int, post: Post) -> bool:
    """Store a post. Returns true if it was new."""
    row = {"learner": learner, "received": time.time(), **post.model_dump()}
    done = db.execute(
        "INSERT INTO posts (learner, id, received, lesson, state, attempts, failing) "
        "VALUES (:learner, :id, :received, :lesson, :state, :attempts, :failing) ON CONFLICT DO NOTHING",
        row,
    )
    if not done.rowcount:
        return False
    db.execute(UPSERT_LATEST, row | {"first": row["received"] if post.attempts else None})
    if post.failing:
        db.execute("INSERT INTO stumbles VALUES (:lesson, :failing, :learner) ON CONFLICT DO NOTHING", row)
    return True


def _opened(path: Path) -> tuple[sqlite3.Connection, dict[str, str]]:
    """The file of a class, made if it is new, and its secrets; closed again if it is something else."""
    db = connect(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # an acknowledged post survives a power cut
        db.executescript(TABLES)
        made = [("code", new_code()), ("key", new_key())]
        db.executemany("INSERT INTO secrets VALUES (?, ?) ON CONFLICT DO NOTHING", made)
        _fold(db)
        return db, dict(db.execute("SELECT name, value FROM secrets"))
    except sqlite3.Error:
        db.close()
        raise


def _fold(db: sqlite3.Connection) -> None:
    """Let the column ``folded`` of a file be what names look like; of two that look alike, the later one's stays."""
    for learner, name, folded in db.execute("SELECT learner, name, folded FROM learners").fetchall():
        if folded != looks(name):
            db.execute("UPDATE OR IGNORE learners SET folded = ? WHERE learner = ?", (looks(name), learner))


def connect(path: Path, *, only_read: bool = False) -> sqlite3.Connection:
    """A connection, to be used by one thread at a time."""
    mode = "?mode=ro" if only_read else ""
    return sqlite3.connect(
        f"{path.resolve().as_uri()}{mode}", uri=True, isolation_level=None, timeout=10.0, check_same_thread=False
    )
