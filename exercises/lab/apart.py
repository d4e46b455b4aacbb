"""Runs a command in namespaces of its own (Linux): ``python -I -S apart.py PARENT PLAN COMMAND ...``.

- its own processes: all that it starts ends with it, whatever it did to be left behind;
- its own network, which has only loopback, and its own shared memory;
- its own view of the files: those in PLAN's ``hidden`` folders are not there, all others can only be read, and
  ``own`` is the one folder to write to. ``kept`` are folders inside hidden ones that stay.

Three processes: this one is outside and passes on the exit; the first one inside, number 1 there, makes the view and
waits; the third is the command. A signal to this one reaches the command. What ends the command ends this one.

Source: namespaces(7), user_namespaces(7), pid_namespaces(7), mount(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

NEW_FILES, NEW_MEMORY, NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
READ_ONLY, REMOUNT, BIND, WITH_THOSE_BELOW, PRIVATE = 1, 32, 4096, 16384, 1 << 18
KEEP = 2 | 4 | 8 | 1024 | 2048
"""Options of a mount that must stay as they are: nosuid, nodev, noexec, noatime, nodiratime."""
RELATIVE_TIMES = {4096: 1 << 21}
"""Maps a flag of statvfs to that of mount where they differ."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108  (a place to hide, not to write to)
NOT_FILES = ("/proc", "/dev")
ESCAPED = re.compile(r"\\([0-7]{3})")
"""A blank and the like in the kernel's list of mounts."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT)
NOT_MADE = 125
"""Exit code if the namespaces cannot be made."""

libc = ctypes.CDLL(None, use_errno=True)


def main(parent: int, plan: dict[str, Any], command: list[str]) -> NoReturn:
    """Run ``command`` as ``plan`` says, until it ends or ``parent`` does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # one that comes too early waits; a process 1 would lose it
    _end_with_parent()
    if os.getppid() != parent:
        sys.exit(1)
    user, group = os.getuid(), os.getgid()  # inside, nobody knows them any more
    try:
        _called(libc.unshare(NEW_USER | NEW_NETWORK | NEW_PROCESSES | NEW_FILES | NEW_MEMORY))
        _be_root_inside(user, group)
    except OSError as error:
        _not_made(error)
    first = os.fork()
    if not first:
        _inside(plan, command)
    _pass_on(first)
    _end_as(os.waitpid(first, 0)[1])


def _inside(plan: dict[str, Any], command: list[str]) -> NoReturn:
    _end_with_parent()
    try:
        _make_view(plan["hidden"], plan["kept"], plan["own"])
    except OSError as error:
        _not_made(error)
    os.chdir(plan["own"])
    started = os.fork()
    if not started:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            os.execvp(command[0], command)  # noqa: S606
        except OSError as error:
            _not_made(error)
    _pass_on(started)
    while True:  # as process 1 it is the parent of all that lost theirs
        ended, status = os.wait()
        if ended == started:
            # Not by a signal: those do not end a process 1.
            os._exit(os.waitstatus_to_exitcode(status) % 256 if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _make_view(hidden: list[str], kept: list[str], own: str) -> None:
    """Hide and keep, the outermost folders first: what is kept may be inside of what is hidden, and the other way."""
    _mount("none", "/", "", WITH_THOSE_BELOW | PRIVATE)
    _mount("proc", "/proc", "proc", 0)
    handles = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (*kept, own)}
    for path in sorted({*hidden, SHARED_MEMORY, *handles}, key=lambda path: len(Path(path).parts)):
        if path in handles:
            Path(path).mkdir(parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{handles[path]}", path, "", BIND | WITH_THOSE_BELOW)
        elif Path(path).is_dir():
            _mount("tmpfs", path, "tmpfs", 0)
    for handle in handles.values():
        os.close(handle)
    for place in _mounts():
        if place not in (own, SHARED_MEMORY) and not place.startswith(NOT_FILES):
            _only_read(place)


def _only_read(place: str) -> None:
    try:
        now = os.statvfs(place).f_flag
    except OSError:
        return  # below what is hidden
    kept = now & KEEP | sum(ours for theirs, ours in RELATIVE_TIMES.items() if now & theirs)
    _mount("none", place, "", REMOUNT | BIND | READ_ONLY | kept)


def _mounts() -> list[str]:
    """The places of this view's mounts."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return list(dict.fromkeys(ESCAPED.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines))


def _be_root_inside(user: int, group: int) -> None:
    """Be root of the new user namespace, and nobody else's."""
    Path("/proc/self/setgroups").write_text("deny")
    for name, number in (("uid", user), ("gid", group)):
        Path(f"/proc/self/{name}_map").write_text(f"0 {number} 1")


def _end_with_parent() -> None:
    libc.prctl(1, signal.SIGKILL)


def _pass_on(process: int) -> None:
    """Let SIGTERM and SIGINT reach a process."""

    def passed(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, number)

    for number in PASSED_ON:
        signal.signal(number, passed)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def _end_as(status: int) -> NoReturn:
    """End as the command did, also if a signal ended it."""
    code = os.waitstatus_to_exitcode(status)
    number = -code if code < 0 else code - 128
    if number > 0 and number in set(signal.Signals):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(code)


def _not_made(error: OSError) -> NoReturn:
    print(f"No namespaces: {error}", file=sys.stderr, flush=True)
    os._exit(NOT_MADE)


def _mount(source: str, place: str, kind: str, flags: int) -> None:
    _called(libc.mount(source.encode(), place.encode(), kind.encode() or None, flags, None), place)


def _called(result: int, place: str = "") -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), place)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:])
