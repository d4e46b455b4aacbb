"""Where the runs of the notebooks are kept: ``artefacts/notebooks/`` of the repository, or LABSERVER_ARTEFACTS."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

from claims import FOLDER, Record

ROOT = Path(os.environ.get("LABSERVER_ARTEFACTS") or FOLDER.parent / "artefacts") / "notebooks"

LIMIT_SECONDS = 120.0
"""A notebook has 60 s on two cores. Here two run at a time, so each gets about one core: twice the time is the bar.
The seconds themselves are in ``runs.json``."""


def kept(run: str, notebook: Path) -> Path:
    """Where a run (``nbval`` or ``papermill``) keeps what a notebook answered."""
    folder = ROOT / run
    folder.mkdir(parents=True, exist_ok=True)
    return folder / notebook.name


def note(run: str, notebook: Path, seconds: float, claims: list[Record]) -> None:
    """Add a run's time and claims to ``runs.json``, and the claims to the table ``claims.md``."""
    with (ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other worker writes here too
        path = ROOT / "runs.json"
        runs = json.loads(path.read_text()) if path.exists() else {}
        runs.setdefault(notebook.stem, {})[run] = {
            "seconds": round(seconds, 1),
            "claims": [asdict(record) for record in claims],
        }
        path.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
        (ROOT / "claims.md").write_text(table(runs))


def table(runs: dict[str, dict[str, dict]]) -> str:  # type: ignore[type-arg]
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
