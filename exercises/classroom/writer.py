"""One thread writes, many jobs in one transaction, each flushed to disk before its future resolves."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

Answer = TypeVar("Answer")
Job = Callable[[sqlite3.Connection], Any]

JOBS_A_COMMIT = 500
MOST_JOBS_WAITING = 5_000
"""Most jobs that wait for the disk. Each is one request of a client that waits too."""


class Writer:
    """A connection that only its thread uses."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._queue: queue.Queue[tuple[Job, Future[Any]] | None] = queue.Queue(MOST_JOBS_WAITING)
        self._thread = threading.Thread(target=self._run, name="classroom-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[sqlite3.Connection], Answer]) -> Future[Answer]:
        """The job's answer or exception, once it is on disk. A job that raises must not have written before.

        Raises:
            queue.Full: if the disk does not keep up.
        """
        future: Future[Answer] = Future()
        self._queue.put_nowait((job, future))
        return future

    def close(self) -> None:
        """Write the waiting jobs, and stop."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = [first], False
            while len(batch) < JOBS_A_COMMIT and not self._queue.empty():
                if (more := self._queue.get()) is None:
                    last = True
                    break
                batch.append(more)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[tuple[Job, Future[Any]]]) -> None:
        done: list[Callable[[], None]] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job, future in batch:
                done.append(self._tried(job, future))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            done = [partial(future.set_exception, error) for _, future in batch]
        for tell in done:
            tell()

    def _tried(self, job: Job, future: Future[Any]) -> Callable[[], None]:
        """Does a job. Gives what tells its caller, to be called when it is on disk."""
        try:
            answer = job(self._db)
        except sqlite3.Error:
            raise
        except Exception as error:
            return partial(future.set_exception, error)
        return partial(future.set_result, answer)
