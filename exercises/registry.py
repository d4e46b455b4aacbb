"""The register of exercises: everything that is said about each, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labserver.errors import LabError

COURSE = Path(__file__).resolve().parent
SOLUTIONS = COURSE.parent / "solutions"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        lesson: 0 to 9, and the stage at which the learner's part is put into the live service.
        title: what is to be made.
        objective: what the learner can do afterwards.
        minutes: how long it takes most people.
        hints: three, from gentle to nearly there.
        file: its name under ``exercises/``, ``solutions/`` and ``work/``.
        seconds: how long the check may take on a slow machine before it is ended.
    """

    lesson: int
    title: str
    objective: str
    minutes: int
    hints: tuple[str, str, str]
    file: str
    seconds: int = 60

    @property
    def task(self) -> Path:
        """The untouched exercise."""
        return COURSE / self.file

    @property
    def solution(self) -> Path:
        """The course's own answer."""
        return SOLUTIONS / self.file


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        lesson=6,
        title="A loader that lets nothing through",
        objective="Verify a model's files before anything of them is loaded, and refuse in a sentence that helps.",
        minutes=20,
        hints=(
            "Which files may lie in the folder, and which must? The manifest knows both. But do you know the manifest?",
            "Verify the manifest first (`hash_manifest`), then compare the set of names with the folder, then hash "
            "each file (`sha256`). Only then read one.",
            "The manifest may be missing, cut off, or a JSON of another shape: catch OSError, ValueError and KeyError "
            "around reading it and raise Damaged. `present ^ set(manifest['files'])` has the names in one only.",
        ),
        file="lesson_06.py",
    ),
    Exercise(
        lesson=7,
        title="A plan for a box",
        objective="Turn measurements into workers, threads and a concurrency limit, and see the plan stand in a flood.",
        minutes=20,
        hints=(
            "Each number has one thing that decides it: threads, what all that fits answers together; workers, the "
            "busiest hour; the limit, the p99. Memory and cores only say how many fit.",
            "All workers start at once, so count with `peak_mib`, and leave the supervisor its share. Little's law is "
            "N = X * R: X is the rate, R the mean time inside. The p99 is `tail` times that mean.",
            "room: `min((memory - supervisor) // peak, cores // threads)`. Workers: `ceil(max(traffic) / (rate * (1 - "
            "spare)))`, cut to the room. Limit: `floor(rate * p99 in seconds / tail)`, at least 1, kept by a "
            "`ConcurrencyLimit`.",
        ),
        file="lesson_07.py",
        seconds=120,
    ),
    Exercise(
        lesson=9,
        title="A watch that does not cry wolf",
        objective="Find faults upstream in daily counts, stay silent in normal months, and alert by a tested rule.",
        minutes=30,
        hints=(
            "Every limit needs a number of predictions below which nothing is judged, and belongs to one feature: ask "
            "the reference what is usual for it. `today.missing / today.rows` is a share.",
            "frozen: `day.bins / day.rows` are the shares of a day. Over the last ten days take the smallest share of "
            "each bin, and subtract `reference.shares`. What a living feed leaves of a bin in its worst day is little.",
            "missing: twice `usual_missing[:-1]`, at least 0.2. drifted: 1.5 times `worst_month`, at least 0.25. "
            "frozen: more than 0.15, for a feature that is `moving`. The rule: `sum by (feature) (increase(...[30m])) "
            "/ on () group_left () (sum(increase(...[30m])) > 50) > 0.1`.",
        ),
        file="lesson_09.py",
    ),
)


def exercise(lesson: int) -> Exercise:
    """The exercise of a lesson.

    Raises:
        LabError: if there is none.
    """
    for known in EXERCISES:
        if known.lesson == lesson:
            return known
    numbers = ", ".join(str(known.lesson) for known in EXERCISES)
    raise LabError(f"There is no exercise {lesson}. There are: {numbers}.")
