"""Progress messages of a slow command, at least one every five seconds.

On a terminal they move; elsewhere, such as in a log, they are lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SIGN_AFTER = 5.0


@contextmanager
def ticking(tell: Callable[[float], None]) -> Iterator[Callable[[], None]]:
    """Call ``tell`` with the seconds since the block began, each time that :data:`SIGN_AFTER` passed without a message.

    Returns a function that notes a message from elsewhere.
    """
    began, signed, over = time.monotonic(), threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if signed.wait(SIGN_AFTER):
                signed.clear()
            elif not over.is_set():
                tell(time.monotonic() - began)

    watcher = threading.Thread(target=watch, name="signs", daemon=True)
    watcher.start()
    try:
        yield signed.set
    finally:
        over.set()
        signed.set()
        watcher.join()


@contextmanager
def alive(console: Console, doing: str) -> Iterator[Callable[[str], None]]:
    """Show that ``doing``, such as ``"Measuring"``, goes on. Returns a function that reports a step in its own line."""
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description} …"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(doing, total=None)
            yield lambda line: console.print(f"  {line}")
        return
    with ticking(lambda seconds: console.print(f"  … {doing.lower()}, {seconds:.0f} s")) as signed:

        def report(line: str) -> None:
            signed()
            console.print(f"  {line}")

        yield report


@contextmanager
def counting(console: Console, doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of ``doing``. Returns a function that takes the number of ``total`` that are done."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(doing, total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    said = time.monotonic()

    def tell(done: int) -> None:
        nonlocal said
        if time.monotonic() - said >= SIGN_AFTER:
            said = time.monotonic()
            console.print(f"  {doing}: {done:,} of {total:,}")

    yield tell
