"""The arc of the course: measurements of the service after each lesson, as a table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from labserver.capacity.bench import measured_alone
from labserver.errors import LabError
from labserver.settings import FINISHED_STAGE, Settings

NEWLY_NOTICED = (
    "refuses to start if the catalogue lacks a feature that the model wants, or defines it differently",
    "on SIGTERM, answers accepted requests and turns new ones away",
    "answers questions about the past with what was known then, not with the rest of the day",
    "fills gaps with the training median, and lists them in the answer",
    "rejects or replaces impossible values, and lists replaced ones in the answer",
    "rejects questions about the past, and lists values that are too old in the answer",
    "refuses to start if a byte of the bundle is changed, missing or added",
    "answers 503 at once when there are more requests than it can answer in time",
    "the build makes no bundle if the exported model answers differently from the trained one",
    "raises alerts on drift, bad inputs and miscalibrated probabilities",
)
"""What each stage newly refuses or reports, in the order of the stages."""

PRECOMPUTED = 5
"""The first stage that looks aggregates up."""

TABLE_BEGIN, TABLE_END = "<!-- arc -->", "<!-- end of arc -->"


@dataclass(frozen=True)
class MeasuredStage:
    """One stage, measured.

    Attributes:
        stage: 0 to 9.
        rate: requests/s of one worker on one core, 8 connections.
        p99_ms: at 70 % of that rate, sent by an open loop.
        memory_mib: PSS of the worker.
        notices: what it newly refuses or reports.
    """

    stage: int
    rate: float
    p99_ms: float
    memory_mib: float
    notices: str


def measure_stages(settings: Settings, rounds: int, seconds: int, say: Callable[[str], None]) -> list[MeasuredStage]:
    """Every stage, one after another: a laptop has not enough memory for ten services with training libraries at once.

    Raises:
        LabError: see :func:`labserver.capacity.bench.measured_alone`.
    """
    steps = []
    for stage in range(FINISHED_STAGE + 1):
        say(f"stage {stage} of {FINISHED_STAGE}")
        # Before lesson 5 an answer takes a good part of a second, and eight of them wait for one core.
        subject = measured_alone(settings, stage, rounds, seconds if stage >= PRECOMPUTED else 3 * seconds)
        rate, p99 = statistics.median(subject.rates), statistics.median(subject.p99)
        steps.append(
            MeasuredStage(stage, round(rate, 1), round(p99, 1), round(subject.memory_mib), NEWLY_NOTICED[stage])
        )
    return steps


def write(steps: Sequence[MeasuredStage], file: Path, readme: Path) -> None:
    """Write the figures to ``file`` as JSON, and the table into the marked place of ``readme``.

    Raises:
        LabError: if the readme has no such place.
    """
    text = readme.read_text(encoding="utf-8")
    if not (TABLE_BEGIN in text and TABLE_END in text):
        raise LabError(f"{readme} has no place for the table: {TABLE_BEGIN} … {TABLE_END}.")
    head, rest = text.split(TABLE_BEGIN)
    readme.write_text(f"{head}{TABLE_BEGIN}\n{table(steps)}\n{TABLE_END}{rest.split(TABLE_END)[1]}", encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(step) for step in steps], indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> list[MeasuredStage]:
    """Read the figures that :func:`write` wrote."""
    return [MeasuredStage(**step) for step in json.loads(file.read_text(encoding="utf-8"))]


def table(steps: Sequence[MeasuredStage]) -> str:
    """The table in Markdown."""
    lines = [
        "| stage | requests/s | p99 ms | memory MiB | newly refuses or reports |",
        "|---|---|---|---|---|",
    ]
    for step in steps:
        rate = f"{step.rate:,.0f}" if step.rate >= 10 else f"{step.rate:.1f}"
        p99 = f"{step.p99_ms:,.0f}" if step.p99_ms >= 10 else f"{step.p99_ms:.1f}"
        lines.append(f"| {step.stage} | {rate} | {p99} | {step.memory_mib:,.0f} | {step.notices} |")
    return "\n".join(lines)
