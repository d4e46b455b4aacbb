"""Signals that end a process: Ctrl-C with one line, also inside libraries that handle it themselves, and SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGINT


class Stopped(BaseException):
    """Ctrl-C. Not a ``KeyboardInterrupt``: libraries turn that into their own errors and messages."""


def _again(lost: sys.UnraisableHookArgs) -> None:
    """Send Ctrl-C again: Python drops exceptions in a finaliser or a weak reference's callback."""
    if lost.exc_type is Stopped:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(lost)


@contextmanager
def one_line() -> Iterator[None]:
    """End the process with one line if Ctrl-C interrupts the block. Everything that the block opened is closed first.

    Only for the main thread of a command.
    """
    interrupted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise Stopped

    sys.unraisablehook = _again
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as of a command in the background of a script
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except BaseException:
        if not interrupted:
            raise
        print("\nStopped.", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: threads of libraries may be in the middle of their work, and would hold the process back.
        os._exit(EXIT_CODE)


def hold_sigterm() -> None:
    """Keep a SIGTERM for the program that this process is about to become: see :func:`end_on_sigterm`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def end_on_sigterm() -> None:
    """End this process on SIGTERM, from the first moment on, until a server puts its own handler in place.

    Process 1 of a container is not ended by a signal without a handler: the kernel drops it. A stop while the service
    starts would be lost.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def succeed_on_sigterm() -> None:
    """From now on SIGTERM ends this process with exit code 0: a server that has stopped as told raises it again."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
