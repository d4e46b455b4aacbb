"""Files that are written whole or not at all, and whether a folder takes any."""

from __future__ import annotations

import fcntl
import os
import shlex
import tempfile
from pathlib import Path

from labserver.errors import LabError

ROOM = 1024 * 1024
"""Bytes that the files of a service that starts need at least."""


def check_writable(folder: Path) -> None:
    """Make a folder if it is missing, and see whether there is room in it for the files of a service that starts.

    Raises:
        LabError: if not; says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(ROOM))
            probe.flush()
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)  # some network folders take files and no locks
    except OSError as error:
        raise LabError(
            f"A service keeps its state in {folder}, which takes no files or locks ({error.strerror or error}). Make "
            "room, give this user the right to write there, or set LABSERVER_HOME to a folder elsewhere and run "
            "`labserver build`."
        ) from None


def unusable(database: Path) -> Path | None:
    """The first file of an SQLite database that is there and that this user cannot read and write."""
    files = (database.with_name(database.name + end) for end in ("", "-wal", "-shm"))
    return next((file for file in files if file.exists() and not os.access(file, os.R_OK | os.W_OK)), None)


def check_database(database: Path) -> None:
    """Make sure that SQLite can write to a database, if it is there: it opens one of another user and fails later.

    Raises:
        LabError: if not; names the file.
    """
    if (file := unusable(database)) is not None:
        folder = shlex.quote(str(file.parent))
        raise LabError(
            f'This user cannot read and write {file}. Run `sudo chown -R "$USER" {folder} && chmod -R u+rwX {folder}`, '
            "or set LABSERVER_HOME to a folder elsewhere and run `labserver build`."
        )


def write_whole(file: Path, content: bytes, mode: int = 0o644, *, durable: bool = False) -> None:
    """Write a file whole or not at all. Until it is whole, only its user can read it.

    ``durable`` waits until it is on disk, so that a power cut takes nothing of it.
    """
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(file)
        if durable:
            sync_folder(file.parent)
    except BaseException:  # Ctrl-C too
        Path(temporary).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk: which files it has, and which files they are."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
