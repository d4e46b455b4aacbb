"""SIGTERM in a check of containers: nothing is left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """SIGTERM: the check was stopped from outside."""


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM in the block raises :class:`Interrupted`, so that containers are removed.

    Not around a learner's code, which could catch it and go on.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted
