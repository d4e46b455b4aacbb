"""Writes the log: a reader that stops, or a full disk, must not cost an answer.

A pipe that nobody reads is no error: the write just does not return. On the event loop it would stop every answer, the
health check and the end of the process with it. So a thread writes to pipes and terminals.
"""

from __future__ import annotations

import atexit
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from functools import cache

ROOM_BYTES = 4 * 1024 * 1024
"""Bytes that wait for a slow reader; what does not fit is dropped and counted."""
STDOUT = 1
FAREWELL_SECONDS = 1.0
"""Time at the end of the process for what still waits."""


class LogWriter:
    """A binary stream onto a file descriptor. Takes whole lines; never waits for a reader and never raises.

    A regular file has no reader to wait for and gets lines at once: a line that is written before an answer is in the
    file before it. A disk that hangs stops the caller.
    """

    def __init__(self, descriptor: int, room: int = ROOM_BYTES) -> None:
        self._descriptor = descriptor
        self._room = room
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self.dropped = 0
        self.on_drop: Callable[[int], object] = int
        """Called with a number of lines that were dropped, from any thread."""
        self._at_once = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not self._at_once:
            threading.Thread(target=self._run, name="log-writer", daemon=True).start()

    def write(self, data: bytes) -> int:
        """Take the lines, or drop them if too much waits already."""
        if self._at_once:
            self._put(data)
            return len(data)
        with self._changed:
            fits = self._waiting + len(data) <= self._room
            if fits and data:
                self._blocks.append(data)
                self._waiting += len(data)
                self._changed.notify_all()
        if not fits:
            self._drop(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was taken is on its way. Loggers call it."""

    def finish(self, seconds: float = FAREWELL_SECONDS) -> bool:
        """Wait until all is written; False if that takes too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._blocks))
                block = self._blocks.popleft()
            self._put(block)
            with self._changed:
                self._waiting -= len(block)
                self._changed.notify_all()

    def _put(self, block: bytes) -> None:
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._drop(block)

    def _drop(self, data: bytes) -> None:
        lines = data.count(b"\n") or 1
        self.dropped += lines
        self.on_drop(lines)


@cache
def log_output() -> LogWriter:
    """The writer of this process, onto standard output."""
    writer = LogWriter(STDOUT)
    atexit.register(writer.finish)
    return writer
