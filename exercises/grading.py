"""``lab grade``: a folder of submissions, each file checked in isolation, into a table and a text for each learner.

A submission is a folder with a learner's files, named as in ``work/``. Every check runs in a process of its own with
limits of time and memory (:mod:`exercises.judging`) and, on Linux, in a network of its own in which only loopback
exists. One that breaks is a result like any other.
"""

from __future__ import annotations

import csv
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path

from rich.progress import Progress

from exercises.judging import judge
from exercises.registry import EXERCISES, Exercise
from exercises.result import Finding, Result, State
from exercises.shown import lines
from labserver.errors import LabError
from labserver.settings import Settings

LARGEST = 1 << 20
"""Bytes of a submitted file."""
ALONE = ("unshare", "--user", "--map-root-user", "--net")
"""A command's network is empty, whoever runs it."""


@dataclass(frozen=True)
class Submission:
    """One learner's folder."""

    learner: str
    folder: Path


def submissions(folder: Path) -> list[Submission]:
    """The learners' folders, by name.

    Raises:
        LabError: if there are none.
    """
    found = [
        Submission(entry.name, entry) for entry in sorted(folder.glob("*")) if entry.is_dir() and entry.name[0] != "."
    ]
    if not found:
        raise LabError(f"{folder} holds no submissions. It should hold a folder for each learner, with lesson files.")
    return found


@cache
def isolation() -> tuple[str, ...]:
    """A prefix that takes the network away; empty where the system has none."""
    try:
        works = subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        works = False
    return ALONE if works else ()


def grade(folder: Path, table: Path, feedback: Path, chosen: Settings, jobs: int) -> None:
    """Check everything, and write ``table`` and a text for each learner into ``feedback``, one learner after another:
    whoever stops this keeps what is done.

    Raises:
        LabError: if there are no submissions, nothing was built, or the results cannot be written.
    """
    learners = submissions(folder)
    if not isolation():
        print("This system gives no network namespaces: the checks can reach the network.")
    pairs = [(learner, known) for learner in learners for known in EXERCISES]
    solved, began = 0, time.perf_counter()
    try:
        feedback.mkdir(parents=True, exist_ok=True)
        with table.open("w", newline="", encoding="utf-8") as file, checking(chosen, pairs, jobs) as results:
            writer = csv.writer(file)
            writer.writerow(["learner", "solved", *(name for known in EXERCISES for name in _columns(known.lesson))])
            for learner in learners:
                own = list(islice(results, len(EXERCISES)))
                solved += sum(result.state is State.SOLVED for result in own)
                writer.writerow(_row(learner.learner, own))
                file.flush()
                text = "\n\n".join("\n".join(lines(result, everything=True)) for result in own)
                (feedback / f"{learner.learner}.txt").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise LabError(f"The results cannot be written ({error}).") from None
    minutes = (time.perf_counter() - began) / 60
    print(f"{len(learners)} learners, {solved} of {len(pairs)} solved, {minutes:.1f} min. {table}, {feedback}/")


@contextmanager
def checking(chosen: Settings, pairs: Sequence[tuple[Submission, Exercise]], jobs: int) -> Iterator[Iterator[Result]]:
    """The results in the order of the pairs, as they come. What has not begun when the block ends is not begun."""
    pool = ThreadPoolExecutor(jobs)
    try:
        with Progress(transient=True) as progress:
            results = pool.map(partial(one, chosen), pairs)
            yield iter(progress.track(results, total=len(pairs), description="Checking"))
    finally:
        pool.shutdown(cancel_futures=True)


def one(chosen: Settings, pair: tuple[Submission, Exercise]) -> Result:
    """One file's result. A file that is none, or is no text of a sensible size, is not run."""
    learner, known = pair
    file = learner.folder / known.file
    if file.is_symlink() or (file.exists() and (not file.is_file() or file.stat().st_size > LARGEST)):
        return Result(known.lesson, State.NOT_YET, (Finding("The file is a file of at most 1 MiB.", False),))
    return judge(known, file, chosen, prefix=isolation())


def _row(learner: str, results: Sequence[Result]) -> list[str | int]:
    """How many are solved, then for each lesson its state, its score and the first mistake."""
    solved = sum(result.state is State.SOLVED for result in results)
    return [_plain(learner), solved, *(_plain(cell) for cell in _cells(results))]


def _columns(lesson: int) -> tuple[str, str, str]:
    return f"lesson_{lesson:02}", f"lesson_{lesson:02}_score", f"lesson_{lesson:02}_mistake"


def _cells(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        yield result.state.value
        yield result.score
        yield (result.next.mistake or result.next.what) if result.next else ""


def _plain(cell: str) -> str:
    """A spreadsheet takes what begins like this for a formula, and a learner chose the name of the folder."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
