"""Monitoring of a service with several workers.

Prometheus reads one worker's page and must see all workers. So each worker writes its counts to files in a shared
folder, and the worker that gets the request adds them up (the multiprocess mode of prometheus-client):

- counters and histograms are sums over all workers since the start, those that died included;
- requests in flight are the sum over the living;
- rolling figures and the join ratio are the latest that any worker read from the prediction log and the outcomes, which
  they share;
- drift is the latest that any worker found among its own requests, a random share of all; the thresholds allow for
  chance, and a worker that saw too few requests reports none;
- the library's ``process_*`` and ``python_*`` metrics are left out, since they cannot be summed;
- ``GET /v1/monitor`` shows the worker that answers, apart from ``quality``.

One worker per container and more containers is simpler: each then has its own page, and Prometheus sums.

The folder is in memory where the system has such a place: the files are mapped into the workers, and the kernel ends a
process that writes into a map for which a full disk has no room (SIGBUS).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from labserver.errors import LabError

SHARED_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Variable with the folder. The library reads it at import, so it must be set before the workers start."""
MEMORY = Path("/dev/shm")  # noqa: S108  (each folder in there is made by mkdtemp, for its user alone)
PREFIX = "labserver-metrics-"
NEW = ".new-"
LOCK = "lock"
"""File of the folder that the supervisor keeps locked as long as it lives."""
BEGUN, FAILED = "begun", "failed"
"""Files of the folder: a worker could be made, and one could not."""


def share_metrics(workers: int) -> None:
    """Prepare the environment for the workers of a service that is about to start, in this process.

    The folder is new: files of an earlier run would be added to this one's. Those of runs that have ended are removed.

    Raises:
        LabError: if there are several workers, and no folder for them.
    """
    os.environ.pop(SHARED_FOLDER_VARIABLE, None)
    place = _place()
    if place is None and workers > 1:
        raise LabError(
            f"Several workers count in {MEMORY} or in a temporary folder, and this user can write to none. Set TMPDIR "
            "to a folder that this user can write to, or start one worker."
        )
    if place is None:
        return
    _remove_left(place)
    if workers > 1:
        new = Path(tempfile.mkdtemp(prefix=NEW + PREFIX, dir=place))
        # Never closed: the lock ends with the process, however it ends, and outlasts the exec in between.
        lock = os.open(new / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock, True)
        folder = new.rename(place / new.name.removeprefix(NEW))  # another start sees it once it is locked
        os.environ[SHARED_FOLDER_VARIABLE] = str(folder)


def remove_shared() -> None:
    """Remove the folder, once the workers have ended."""
    if folder := os.environ.get(SHARED_FOLDER_VARIABLE):
        shutil.rmtree(folder, ignore_errors=True)


def reserve_shared() -> None:
    """Let this worker's files have their room now, where the system can: a file that only names it has none.

    Raises:
        LabError: if there is none.
    """
    folder = os.environ.get(SHARED_FOLDER_VARIABLE)
    if not folder or not hasattr(os, "posix_fallocate"):
        return
    for file in Path(folder).glob(f"*_{os.getpid()}.db"):
        try:
            with file.open("r+b") as opened:
                os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
        except OSError as error:
            raise LabError(
                f"Several workers count in {folder}, which has no room ({error.strerror}). Make room there, or start "
                "one worker."
            ) from None


def note_begun() -> None:
    """Note that a worker could be made. From now on, one that ends is replaced: see :func:`has_begun`."""
    _first(BEGUN)


def has_begun() -> bool:
    """True if a worker of this service could be made."""
    return _is_noted(BEGUN)


def note_failed() -> bool:
    """Note that a worker could not be made. Returns whether it should say so: of the first ones, only the first."""
    return _first(FAILED) or has_begun()


def has_failed() -> bool:
    """True if a worker of this service could not be made."""
    return _is_noted(FAILED)


def _is_noted(name: str) -> bool:
    folder = os.environ.get(SHARED_FOLDER_VARIABLE)
    return folder is not None and (Path(folder) / name).exists()


def _first(name: str) -> bool:
    """Make a file of the folder, and return whether it is new."""
    try:
        with (Path(os.environ[SHARED_FOLDER_VARIABLE]) / name).open("x"):
            return True
    except FileExistsError:
        return False
    except (KeyError, OSError):  # no room, or no folder: say too much rather than nothing
        return True


def _place() -> Path | None:
    """The folder for the folders of all services; None if this user can write to none."""
    with suppress(OSError):  # there is no usable temporary folder
        return MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return None


def _remove_left(place: Path) -> None:
    """Remove the folders of this user whose supervisor has ended."""
    for folder in place.glob(PREFIX + "*"):
        with suppress(OSError), (folder / LOCK).open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
