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
        lesson=1,
        title="An image that may be deployed",
        objective="Find by reading what would wake whoever is on call, and write an image without it.",
        minutes=20,
        hints=(
            "Six questions. Is it the same image next month? What in it never serves? Whose folder is that? Who may it "
            "write as? Who notices that it hangs? Who hears SIGTERM?",
            "The lock comes in with COPY and is installed with --require-hashes. A user without rights needs a state "
            "folder of its own, and a list needs no $PORT: the service reads LABSERVER_PORT and LABSERVER_HOME.",
            "labserver/deploy/Containerfile has none of the six; see its USER, HEALTHCHECK and ENTRYPOINT. `chown "
            "10001:10001` the state folder before the USER, and let Python ask /healthz on port 9000.",
        ),
        file="lesson_01.Containerfile",
        seconds=600,  # the first build of an image; with its layers there, seconds
    ),
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
