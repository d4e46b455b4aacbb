"""The contents page: which part is active at which lesson.

A part is active until a later line replaces it. Stage N is the service as it is after lesson N.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from labserver.errors import LabError
from labserver.parts import Parts

LESSONS = range(10)

NAIVE_PACKAGE, FINISHED_MODULE = "labserver.stages.naive.", "labserver.finished"
"""Where most of the factories are."""

GONE = ""
"""In place of a factory: from this lesson on the service has no use for the part."""


@dataclass(frozen=True, slots=True)
class Change:
    """From ``lesson`` on, ``part`` is made by ``factory``."""

    lesson: int
    part: str
    factory: str
    why: str


CHANGES = (
    Change(0, "catalogue", FINISHED_MODULE + ":catalogue", "features are defined once, apart from the model"),
    Change(
        0,
        "drain",
        NAIVE_PACKAGE + "server:drain",
        "SIGTERM closes the port at once, while a balancer still sends to it",
    ),
    Change(1, "drain", "labserver.api.lifecycle:drain", "not ready, then no new requests, then the end"),
    Change(
        0, "horizon", NAIVE_PACKAGE + "features:horizon", "a question about the past gets all that is known of its day"
    ),
    Change(
        2, "horizon", NAIVE_PACKAGE + "features:as_known", "a question about the past gets what was known at its moment"
    ),
    Change(5, "horizon", GONE, "the store holds the latest values only: the past cannot be asked about"),
    Change(0, "completion", NAIVE_PACKAGE + "features:completion", "a gap becomes 0"),
    Change(3, "completion", FINISHED_MODULE + ":completion", "a gap becomes the training median; no gap is left"),
    Change(0, "ranges", NAIVE_PACKAGE + "features:ranges", "any number will do"),
    Change(4, "ranges", FINISHED_MODULE + ":ranges", "impossible values are refused or replaced, unseen ones clipped"),
    Change(0, "service", NAIVE_PACKAGE + "handler:service", "one handler computes every feature anew for each flight"),
    Change(5, "service", FINISHED_MODULE + ":service", "a service without HTTP; aggregates are looked up"),
    Change(0, "decision", NAIVE_PACKAGE + "handler:decision", "warn above one half"),
    Change(5, "decision", FINISHED_MODULE + ":decision", "warn where silence is expected to cost more"),
    Change(0, "loader", NAIVE_PACKAGE + "loading:loader", "files are read without a look at their hashes"),
    Change(6, "loader", "labserver.model.bundle:load_bundle", "every byte is verified before anything is loaded"),
    Change(0, "threads", NAIVE_PACKAGE + "server:threads", "as many threads as the machine has cores"),
    Change(7, "threads", FINISHED_MODULE + ":threads", "as many threads as pay off"),
    Change(0, "admission", NAIVE_PACKAGE + "server:admission", "everyone is let in, and everyone waits"),
    Change(7, "admission", "labserver.api.admission:admission", "above the limit a request is refused at once"),
    Change(0, "predictor", NAIVE_PACKAGE + "loading:unpickle_per_request", "the model is unpickled for each request"),
    Change(6, "predictor", NAIVE_PACKAGE + "loading:unpickle_at_start", "loaded once; still a DataFrame for each row"),
    Change(8, "predictor", FINISHED_MODULE + ":predictor", "ONNX Runtime on one float32 row"),
    Change(0, "inline", NAIVE_PACKAGE + "server:inline", "each request goes through the framework and a thread pool"),
    Change(8, "inline", FINISHED_MODULE + ":inline", "each request is answered on the event loop"),
    Change(9, "drift", FINISHED_MODULE + ":drift", "days are compared with training; a fault is told from a season"),
    Change(0, "monitor", NAIVE_PACKAGE + "watching:monitor", "nobody looks: 200 is all that is known of an answer"),
    Change(9, "monitor", FINISHED_MODULE + ":monitor", "inputs, answers and outcomes are counted, logged and judged"),
    Change(
        9, "shadow", FINISHED_MODULE + ":shadow", "a second model may answer beside; its answers are logged, never sent"
    ),
)


def active(lesson: int) -> dict[str, str]:
    """Part to factory, for a stage: the parts that it uses."""
    latest = {change.part: change.factory for change in CHANGES if change.lesson <= lesson}
    return {part: factory for part, factory in latest.items() if factory != GONE}


def parts_of_stage(lesson: int, own: Mapping[str, Any] | None = None) -> Parts:
    """The parts of a stage, some replaced by a learner's own.

    Raises:
        LabError: if ``own`` names a part that does not exist, or that the stage has no use for.
    """
    known, factories = {field.name for field in fields(Parts)}, active(lesson)
    for name in own or {}:
        if name not in known:
            raise LabError(f"There is no part {name}. Parts are: {', '.join(sorted(known))}.")
        if name not in factories:
            lessons = [number for number in LESSONS if name in active(number)]
            raise LabError(
                f"Stage {lesson} has no use for the part {name}: only stages {lessons[0]} to {lessons[-1]} have. "
                f"Choose one of them, such as --lesson {lessons[-1]}."
            )
    return Parts(**{**{part: pkgutil.resolve_name(factory) for part, factory in factories.items()}, **(own or {})})
