"""A database file and its name: whether the path still names what was opened.

SQLite goes on writing into a file that was deleted or replaced. Nothing of that is there after a restart.
"""

from __future__ import annotations

from pathlib import Path


class NamedFile:
    """Remembers which file a path named when it was opened, and which write-ahead log."""

    def __init__(self, path: Path) -> None:
        """``path`` is that of a database that is open, in WAL mode."""
        self._path = path
        self._opened = self._named()

    def replaced(self) -> bool:
        """True if the path names another file now, or none."""
        return self._named() != self._opened

    def _named(self) -> list[tuple[int, int] | None]:
        return [_inode(self._path.with_name(self._path.name + end)) for end in ("", "-wal")]


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
