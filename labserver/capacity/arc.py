"""The arc of the course: what each lesson made of the service, in one table and one picture."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from labserver.capacity.bench import measured_alone
from labserver.errors import LabError
from labserver.settings import FINISHED, Settings

NEW = (
    "a model that wants other features than the catalogue has: no start",
    "an end: what was accepted is answered, what is new goes elsewhere",
    "a value that was not yet known when the question was put",
    "a gap: filled with the median of training, and the answer says so",
    "an impossible value: refused or replaced, and the answer says so",
    "an aggregate that is too old: the answer says so",
    "a changed, missing or added byte of the bundle: no start",
    "more requests than it can answer in time: 503 at once",
    "a model that does not answer exactly as the trained one: no bundle",
    "drift, broken inputs, probabilities that do not come true: an alert",
)
"""What the stage after each lesson refuses or notices, and the one before did not."""

PRECOMPUTED = 5
"""The first stage that looks aggregates up."""

BEGIN, END = "<!-- arc -->", "<!-- end of arc -->"


@dataclass(frozen=True)
class Step:
    """One stage, measured.

    Attributes:
        stage: 0 to 9.
        rate: requests/s of one worker on one core, 8 connections.
        p99_ms: under 70 % of that rate, asked by an open loop.
        memory_mib: of the worker, PSS.
        notices: what it refuses or notices that the one before did not.
    """

    stage: int
    rate: float
    p99_ms: float
    memory_mib: float
    notices: str


def measure(settings: Settings, rounds: int, seconds: int, say: Callable[[str], None]) -> list[Step]:
    """Every stage, one after another: ten services with training libraries at once are more than a laptop holds.

    Raises:
        LabError: see :func:`labserver.capacity.bench.measured_alone`.
    """
    steps = []
    for stage in range(FINISHED + 1):
        say(f"stage {stage} of {FINISHED}")
        # Before lesson 5 an answer takes a good part of a second, and eight of them wait for one core.
        subject = measured_alone(settings, stage, rounds, seconds if stage >= PRECOMPUTED else 3 * seconds)
        rate, p99 = statistics.median(subject.rates), statistics.median(subject.p99)
        steps.append(Step(stage, round(rate, 1), round(p99, 1), round(subject.memory_mib), NEW[stage]))
    return steps


def write(steps: Sequence[Step], file: Path, readme: Path) -> None:
    """Write the figures to ``file`` as JSON, and the table into the marked place of ``readme``.

    Raises:
        LabError: if the readme has no such place.
    """
    text = readme.read_text(encoding="utf-8")
    if not (BEGIN in text and END in text):
        raise LabError(f"{readme} has no place for the table: {BEGIN} … {END}.")
    head, rest = text.split(BEGIN)
    readme.write_text(f"{head}{BEGIN}\n{table(steps)}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(step) for step in steps], indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> list[Step]:
    """What :func:`write` has written."""
    return [Step(**step) for step in json.loads(file.read_text(encoding="utf-8"))]


def table(steps: Sequence[Step]) -> str:
    """In Markdown."""
    lines = [
        "| stage | requests/s | p99 ms | memory MiB | refuses or notices, unlike the one before |",
        "|---|---|---|---|---|",
    ]
    for step in steps:
        rate = f"{step.rate:,.0f}" if step.rate >= 10 else f"{step.rate:.1f}"
        p99 = f"{step.p99_ms:,.0f}" if step.p99_ms >= 10 else f"{step.p99_ms:.1f}"
        lines.append(f"| {step.stage} | {rate} | {p99} | {step.memory_mib:,.0f} | {step.notices} |")
    return "\n".join(lines)
