"""The process of a stage: ``python -m labserver.stages.server``, settings from the environment.

Also of stage 9 in the course, where the page shows which lesson brought a part in, and how far the learner is.
"""

from __future__ import annotations

from labserver.interrupts import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()  # before the other imports, which take a while

from collections.abc import Collection
from typing import TYPE_CHECKING

from labserver.api.server import run, worker
from labserver.server import application
from labserver.settings import Settings, settings
from labserver.stages.contents import CHANGES, active, parts_of_stage
from labserver.stages.own import used_parts

if TYPE_CHECKING:
    from fastapi import FastAPI

    from labserver.api.monitoring import ExerciseShown, PartShown, ShownBeside


def create() -> FastAPI:
    """The application of one worker.

    Raises:
        LabError: if a learner's part does not run, or something the service rests on is not usable.
    """
    chosen = settings()
    own = used_parts(chosen, chosen.lesson)
    return application(chosen, parts_of_stage(chosen.lesson, own), shown(chosen, own))


def create_worker() -> FastAPI:
    """The same, for one worker of several."""
    return worker(create)


def shown(chosen: Settings, own: Collection[str]) -> ShownBeside:
    """What the page shows of the course."""
    from labserver.api.monitoring import ShownBeside

    return ShownBeside(parts_shown(chosen.lesson, own), lambda: exercises_shown(chosen), sorted(own))


def parts_shown(lesson: int, own: Collection[str]) -> list[PartShown]:
    """The contents page of a stage, in the order of its lessons."""
    from labserver.api.monitoring import PartShown

    factories = active(lesson)
    return [
        PartShown(
            part=change.part,
            lesson=change.lesson,
            factory=change.factory,
            why=change.why,
            own=change.part in own,
        )
        for change in sorted(CHANGES, key=lambda change: change.lesson)
        if factories.get(change.part) == change.factory
    ]


def exercises_shown(chosen: Settings) -> list[ExerciseShown]:
    """What ``lab check`` wrote; nothing if it wrote nothing yet, or something else is in the file."""
    from labserver.api.monitoring import EXERCISES_ADAPTER

    try:
        return EXERCISES_ADAPTER.validate_json(chosen.progress.read_bytes())
    except (OSError, ValueError):
        return []


if __name__ == "__main__":
    run(create, "labserver.stages.server:create_worker")
