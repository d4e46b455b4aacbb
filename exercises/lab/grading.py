"""``lab grade``: checks each file of a folder of submissions in isolation; writes a table and a text for each learner.

A submission is a folder with a learner's files, named as in ``work/``. Every check runs in its own process with limited
time and memory (:mod:`exercises.lab.judging`) and, on Linux, apart from the grader's network, files and processes
(:mod:`exercises.lab.apart`). A check that crashes is a result like any other.
"""

from __future__ import annotations

import csv
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from exercises.checks.registry import EXERCISES, Exercise
from exercises.checks.result import CheckFinding, Result, State
from exercises.classroom.posts_csv import no_formula
from exercises.lab.isolation import Isolation, isolation
from exercises.lab.judging import judge
from exercises.lab.shown import result_lines, verdict
from labserver.errors import LabError
from labserver.running.signs import ticking
from labserver.settings import Settings

LARGEST_FILE = 1 << 20
"""Largest size of a submitted file in bytes."""
say = partial(print, flush=True)
NOT_APART = """\
WARNING: this system gives no namespaces. What you grade can reach the network, read and write your files and those of
other learners, and leave processes behind. Grade strangers' code in a container or a virtual machine.\
"""


@dataclass(frozen=True)
class Submission:
    """One learner's files.

    Attributes:
        learner: the folder's name.
        places: the folders with lesson files; a learning platform may have made one for each of them.
    """

    learner: str
    places: tuple[Path, ...]

    def file(self, exercise: Exercise) -> Path:
        """The answer to an exercise, in the first folder that has one; it need not be there."""
        files = [place / exercise.file for place in self.places]
        return next((file for file in files if file.exists() or file.is_symlink()), files[0])


def submissions(folder: Path) -> tuple[list[Submission], list[str]]:
    """The learners' folders, by name, and the names of folders without lesson files.

    Some learning platforms put folders of their own between a learner and the files; they are searched too.

    Raises:
        LabError: if there are no learners.
    """
    found, others = [], []
    for entry in sorted(folder.glob("*")):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        places = [place for place in (entry, *sorted(entry.glob("*/"))) if _holds_lessons(place)]
        if places:
            found.append(Submission(entry.name, tuple(places)))
        else:
            others.append(entry.name)
    if not found:
        raise LabError(f"{folder} holds no submissions. It should hold a folder for each learner, with lesson files.")
    return found, others


def _holds_lessons(folder: Path) -> bool:
    return any((folder / exercise.file).exists() or (folder / exercise.file).is_symlink() for exercise in EXERCISES)


def grade(folder: Path, table: Path, feedback: Path, chosen: Settings, jobs: int) -> None:
    """Check everything, and write ``table`` and a text for each learner into ``feedback``, one learner after another:
    if you stop it, you keep the finished ones. Before the first learner is finished, nothing is written.

    Raises:
        LabError: if there are no submissions, nothing was built, or the results cannot be written.
    """
    learners, others = submissions(folder)
    if not chosen.bundle.exists():
        raise LabError(f"There is no bundle at {chosen.bundle}. Run `labserver build`.")
    writable(table, feedback)
    pairs = [(learner, exercise) for learner in learners for exercise in EXERCISES]
    say(f"Grading {len(learners)} learners, {len(EXERCISES)} lessons each, {jobs} checks at the same time ...")
    if others:
        say(f"Left out, since they hold no lesson files: {', '.join(others)}.")
    apart = isolation(chosen, folder)
    if apart is None:
        say(NOT_APART)
    counts, began = Counter[State](), time.perf_counter()
    try:
        with checking(chosen, pairs, jobs, apart) as results:
            for number, learner in enumerate(learners):
                own = list(islice(results, len(EXERCISES)))
                counts.update(result.state for result in own)
                _write(table, feedback, learner.learner, own, first=number == 0)
    except OSError as error:
        raise LabError(f"The results cannot be written ({error}).") from None
    minutes = (time.perf_counter() - began) / 60
    unjudged = f"{counts[State.NOT_JUDGED]} not judged (run it again, with fewer --jobs), "
    say(
        f"{len(learners)} learners, {counts[State.SOLVED]} of {len(pairs)} solved, "
        f"{unjudged if counts[State.NOT_JUDGED] else ''}{minutes:.1f} min. {table}, {feedback}/"
    )


def writable(table: Path, feedback: Path) -> None:
    """Check before hours of work that its results can be written. Writes nothing.

    Raises:
        LabError: if they cannot.
    """
    for path, is_right in ((table, not table.is_dir()), (feedback, feedback.is_dir() or not feedback.exists())):
        there = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
        if not is_right or not os.access(there, os.W_OK) or (there is not path and not there.is_dir()):
            raise LabError(f"{path} cannot be written. Name another place with --csv or --feedback.")
    if not table.absolute().parent.is_dir():
        raise LabError(f"{table} cannot be written: there is no folder {table.parent}.")


def _write(table: Path, feedback: Path, learner: str, own: Sequence[Result], *, first: bool) -> None:
    """Write a learner's row and text. The first one begins a new table."""
    feedback.mkdir(parents=True, exist_ok=True)
    with table.open("w" if first else "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if first:
            writer.writerow(
                ["learner", "solved", *(name for exercise in EXERCISES for name in _columns(exercise.lesson))]
            )
        writer.writerow(_row(learner, own))
    text = "\n\n".join("\n".join(result_lines(result, everything=True)) for result in own)
    (feedback / f"{learner}.txt").write_text(text + "\n", encoding="utf-8")


@contextmanager
def checking(
    chosen: Settings, pairs: Sequence[tuple[Submission, Exercise]], jobs: int, apart: Isolation | None
) -> Iterator[Iterator[Result]]:
    """The results in the order of the pairs, as they come. Checks that still run when the block ends are stopped."""
    pool, stop, done = ThreadPoolExecutor(jobs), threading.Event(), Counter[str]()

    def checked(pair: tuple[Submission, Exercise]) -> Result:
        result = one(chosen, pair, apart, stop)
        done["checks"] += 1
        say(f"  {pair[0].learner}: {verdict(result)}")
        return result

    try:
        with ticking(lambda seconds: say(f"  ... {seconds:.0f} s, {done['checks']} of {len(pairs)} checks")):
            yield pool.map(checked, pairs)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def one(chosen: Settings, pair: tuple[Submission, Exercise], apart: Isolation | None, stop: threading.Event) -> Result:
    """One file's result. A missing file, or one that is not a text of a sensible size, is not run."""
    learner, exercise = pair
    file = learner.file(exercise)
    if file.is_symlink() or (file.exists() and (not file.is_file() or file.stat().st_size > LARGEST_FILE)):
        return Result(exercise.lesson, State.NOT_YET, (CheckFinding("The file is a file of at most 1 MiB.", False),))
    return judge(exercise, file, chosen, isolation=apart, stop=stop)


def _row(learner: str, results: Sequence[Result]) -> list[str | int]:
    """The number of solved lessons, then for each lesson its state, its score and the first mistake."""
    solved = sum(result.state is State.SOLVED for result in results)
    return [no_formula(learner), solved, *(no_formula(cell) for cell in _cells(results))]


def _columns(lesson: int) -> tuple[str, str, str]:
    return f"lesson_{lesson:02}", f"lesson_{lesson:02}_score", f"lesson_{lesson:02}_mistake"


def _cells(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        yield result.state.value
        yield result.score
        yield (result.next.mistake or result.next.what) if result.next else ""
