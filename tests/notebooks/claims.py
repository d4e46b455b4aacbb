"""The claims of the course: which each notebook must make, and how to read what a run measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from exercises.lab.record import CLAIM_TYPE

NOTEBOOKS_FOLDER = Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOKS = sorted(NOTEBOOKS_FOLDER.glob("[0-9][0-9]_*.ipynb"))

EXPECTED: dict[int, dict[str, dict[str, float]]] = {
    0: {
        "flights the pasted copy answers differently": {"at_least": 50},
        "AUC the pasted copy costs": {"at_least": 0.03},
        "complaints in the log of the pasted copy": {"equals": 0},
        "lines of feature definitions changed to swap the model": {"equals": 0},
        "feature values changed by swapping the model": {"equals": 0},
        "answers changed by a feature nobody asked for": {"equals": 0},
        "flights one catalogue answers differently": {"equals": 0},
    },
    1: {
        "requests lost when a shell gets the signal": {"at_least": 1},
        "faults found in the repaired file": {"equals": 0},
        "megabytes beyond the base": {"at_most": 250},
        "share saved by leaving the training tools out": {"at_least": 50},
        "requests lost by a server that closes its port at once": {"at_least": 1},
        "requests lost by a server that drains": {"equals": 0},
        "seconds from start to ready": {"at_most": 5},
        "answers that differ inside and outside": {"equals": 0},
        "requests lost by a stop under load": {"equals": 0},
    },
    2: {
        "AUC with the future in the table": {"at_least": 0.9},
        "AUC of that model when the question is due": {"at_most": 0.7},
        "values from after the moment in the answers of stage 1 about the past": {"at_least": 50},
        "processor seconds for the join of a year": {"at_most": 10},
        "rows known after the question": {"equals": 0},
        "values that erasing the future changes": {"equals": 0},
        "AUC of the honest model": {"at_least": 0.7},
        "AUC that the leak promised beyond that": {"at_least": 0.2},
        "values from after the moment in the answers of stage 2 about the past": {"equals": 0},
    },
    3: {
        "AUC that three bugs cost together": {"at_least": 0.0005},
        "answers that the three bugs move by more than 0.01": {"at_least": 20},
        "impossible vectors at stage 2": {"at_least": 90},
        "seeded bugs caught by name": {"equals": 6},
        "complaints about the honest pipeline": {"equals": 0},
        "AUC lost when only the service is mended": {"at_least": 0.01},
        "served vectors compared with training": {"at_least": 20_000},
        "served vectors that differ from training": {"equals": 0},
        "impossible vectors at stage 3": {"equals": 0},
        "cost of the check of one vector": {"at_most": 100},
        "time of pandera for one row against the check": {"at_least": 50},
        "vectors that differ over HTTP": {"equals": 0},
        "misread vectors that parity reports": {"at_least": 99},
    },
    4: {
        "impossible requests that stage 3 noticed": {"equals": 0},
        "impossible wind records found in the year": {"equals": 1},
        "impossible requests that stage 4 refused": {"equals": 3},
        "answers with 1,048 mph of wind that do not say so": {"equals": 0},
        "corrupted requests caught": {"at_least": 60},
        "good requests wrongly refused": {"at_most": 0.1},
        "good requests that refusing the unseen would lose": {"at_least": 2},
    },
    5: {
        "of stage 4's time, spent on computing features": {"at_least": 50},
        "flights that the batch's copy answers differently": {"at_least": 1},
        "decisions of stage 4 that other costs change": {"equals": 0},
        "cost of the policy above the best limit of hindsight": {"at_most": 2},
        "extra cost of warning above one half": {"at_least": 5},
        "of stage 5's decisions, changed by other costs": {"at_least": 10},
        "times as fast to look values up as to compute them": {"at_least": 100},
        "rows changed by a batch that ran twice, and one that came late": {"equals": 0},
        "answers that looking up changes": {"equals": 0},
        "median answer of stage 4 against stage 5": {"at_least": 5},
        "AUC lost with late rates a day older": {"at_most": 0.01},
        "AUC lost with delays six hours older": {"at_least": 0.015},
        "AUC lost if answers are made at four": {"at_least": 0.03},
        "flights that HTTP, batch and command line tell apart": {"equals": 0},
    },
    6: {
        "damaged bundles that are loaded": {"equals": 0},
        "damages refused by the file's name": {"equals": 100},
        "commands of a stranger that were run": {"equals": 0},
        "cold start: megabytes fetched from elsewhere": {"equals": 0},
        "requests/s of stage 6 over stage 5": {"at_least": 2},
    },
    7: {
        "time of two workers with default threads against pinned": {"at_least": 1.3},
        "memory of a worker with training libraries at its peak": {"at_least": 150},
        "memory of three such workers if they peak together": {"at_least": 512},
        "memory of a worker of the finished service at its peak": {"at_most": 150},
        "requests refused without a limit": {"equals": 0},
        "goodput with a limit at five times the capacity": {"at_least": 50},
    },
    8: {
        "share of a prediction that walks through the trees": {"at_most": 5},
        "one row: DataFrame and scikit-learn against ONNX Runtime": {"at_least": 20},
        "1,000 rows: DataFrame and scikit-learn against ONNX Runtime": {"at_least": 3},
        "rows at a threshold that a plain export answers otherwise": {"at_least": 20},
        "rows at a threshold that the mended export answers otherwise": {"equals": 0},
        "held-out flights that ONNX Runtime decides otherwise": {"equals": 0},
        "what-if answers that a plain export changes": {"at_least": 10},
        "what-if answers that the mended export changes": {"equals": 0},
        "JSON of 1,000 answers: in Python against compiled": {"at_least": 5},
        "requests in a second of processor time, stage 8 against 7": {"at_least": 5},
        "requests of stage 8 in a second, against the floor's": {"at_least": 50},
    },
    9: {
        "requests that failed in the storm": {"equals": 0},
        "Brier score of the storm against the bundle's own": {"at_least": 1.5},
        "quiet days on which one limit of 0.25 would call": {"at_least": 90},
        "alerts on the days of six quiet months": {"equals": 0},
        "days of the world in a minute of replay": {"at_least": 30},
        "alerts during two quiet months, live": {"equals": 0},
        "hours of the day until the incident's alert": {"at_most": 24},
        "alerts of the incident that name its cause": {"equals": 100},
        "pages that say the model is wrong": {"at_least": 1},
    },
}
"""Lesson to claim to bound. A notebook makes exactly these: one more, one less or another bound is a failure."""


@dataclass(frozen=True)
class Record:
    """One claim as a run left it. ``value`` is None for a number that is not finite.

    ``where`` says what was measured, if machines differ in that: a container, or its replacement.
    """

    lesson: int
    name: str
    value: float | None
    unit: str
    bound: dict[str, float]
    where: str = ""

    @property
    def holds(self) -> bool:
        [(kind, limit)] = self.bound.items()
        value = float("nan") if self.value is None else self.value
        return {"at_least": value >= limit, "at_most": value <= limit, "equals": value == limit}[kind]


def lesson_of(notebook: Path) -> int:
    return int(notebook.name[:2])


def records(notebook: Path) -> list[Record]:
    """The claims in a notebook's outputs, in order."""
    return [
        Record(**output["data"][CLAIM_TYPE]["data"])
        for cell in nbformat.read(notebook, as_version=4).cells
        for output in cell.get("outputs", [])
        if CLAIM_TYPE in output.get("data", {})
    ]


def check(notebook: Path, lesson: int) -> list[Record]:
    """Hold a run's claims against the list and against their bounds."""
    found = records(notebook)
    assert {record.name: record.bound for record in found} == EXPECTED[lesson]
    assert len(found) == len(EXPECTED[lesson]), "a claim is made twice"
    assert all(record.lesson == lesson for record in found)
    assert [record for record in found if not record.holds] == []
    return found


def parameters_of(notebook: Path) -> dict[str, Any]:
    """Names and values in the cell tagged ``parameters``."""
    namespace: dict[str, Any] = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, namespace)  # our own file
    namespace.pop("__builtins__", None)
    return namespace
