"""The folder of the notebooks' runs: ``artefacts/notebooks/`` of the repository, or LABSERVER_ARTEFACTS."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from claims import NOTEBOOKS_FOLDER, Record
from filelock import FileLock

ROOT = Path(os.environ.get("LABSERVER_ARTEFACTS") or NOTEBOOKS_FOLDER.parent / "artefacts") / "notebooks"

LIMIT = 240.0
"""Processor seconds: twice the minute of two cores that a notebook has, since one machine's second of work is another
machine's two. What a run took is kept in ``runs.json``."""


@dataclass
class Taken:
    """Duration of a run: wall-clock seconds, and processor seconds of all processes that it started and that ended."""

    seconds: float = 0.0
    processor_seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Taken]:
    """Filled in when the block ends."""
    taken, clock, before = Taken(), time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    yield taken
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken.seconds = round(time.perf_counter() - clock, 1)
    taken.processor_seconds = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


def kept(run: str, notebook: Path) -> Path:
    """The file in which a run (``nbval`` or ``papermill``) keeps a notebook's outputs."""
    folder = ROOT / run
    folder.mkdir(parents=True, exist_ok=True)
    return folder / notebook.name


def note(run: str, notebook: Path, taken: Taken, claims: list[Record]) -> None:
    """Add a run's time and claims to ``runs.json``, and the claims to the table ``claims.md``."""
    with FileLock(ROOT / "lock"):  # the other worker writes here too
        path = ROOT / "runs.json"
        runs = json.loads(path.read_text()) if path.exists() else {}
        runs.setdefault(notebook.stem, {})[run] = {
            **asdict(taken),
            "claims": [asdict(record) for record in claims],
        }
        path.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
        (ROOT / "claims.md").write_text(table(runs))


def table(runs: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Every claim with its bound and the value of each run."""
    lines = ["| lesson | claim | bound | nbval | papermill |", "|---|---|---|---|---|"]
    for _, by_run in sorted(runs.items()):
        values = {
            (claim["lesson"], claim["name"], run): claim for run, said in by_run.items() for claim in said["claims"]
        }
        for lesson, name in dict.fromkeys((lesson, name) for lesson, name, _ in values):
            found = [values.get((lesson, name, run)) for run in ("nbval", "papermill")]
            one = next(claim for claim in found if claim)
            [(kind, limit)] = one["bound"].items()
            shown = [f"{claim['value']:,.4g} {claim['unit']}" if claim else "" for claim in found]
            lines.append(f"| {lesson} | {name} | {kind.replace('_', ' ')} {limit:,g} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
