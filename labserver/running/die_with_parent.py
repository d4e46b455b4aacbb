"""Ties a command to the process that starts it: ``python -I -S die_with_parent.py PARENT CORES COMMAND ...``.

A killed process cannot clean up. So this process requests that the kernel sends SIGTERM when the parent is gone (Linux,
``PR_SET_PDEATHSIG``; it survives ``exec``), and then becomes the command, with the same process id. ``preexec_fn`` is
unsafe in a parent with threads, such as a notebook.
"""

from __future__ import annotations

import os
import sys


def main(parent: int, cores: str, command: list[str]) -> None:
    """Become ``command``, on ``cores`` (such as ``"0,1"``; empty for any)."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        if cores:
            os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    if os.getppid() != parent:  # it was killed before the request was made
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
