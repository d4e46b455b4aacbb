"""The learner's copies of the notebooks, in ``work/notebooks/``: to be run and edited; the shipped ones stay clean.

A shipped notebook that was run differs from the course's, and the next update by git would stop at it. ``.lab.json``
beside the copies keeps the hash of the cells that each was copied with. Outputs do not count: who has only run a
notebook gets the new one when the course changes it; who has edited it keeps it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from exercises.registry import COURSE
from exercises.workspace import write_whole
from labserver.errors import LabError

SHIPPED = COURSE.parent / "notebooks"
FOLDER = "notebooks"
RECORD = ".lab.json"
BESIDE = (".py", ".json", ".png", ".Containerfile")
"""Suffixes of what notebooks use: links, so that they are always those of the course."""


def prepare(work: Path) -> list[Path]:
    """Copy what is missing, and renew what the course has changed and the learner has not.

    Gives the learner's own: the edited ones whose original has changed.

    Raises:
        LabError: if the folder cannot be written.
    """
    folder = work / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _link(folder)
        recorded = _recorded(folder)
        kept = []
        for original in notebooks():
            copy, now = folder / original.name, cells(original)
            before = recorded.get(original.name)
            if copy.exists() and now != before and cells(copy) not in {before, now}:
                kept.append(copy)
            elif not copy.exists() or now != before:
                write_whole(copy, original.read_bytes())
                recorded[original.name] = now
        write_whole(folder / RECORD, json.dumps(recorded, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise LabError(f"{folder} cannot be written ({error.strerror}). Set LAB_WORK to a folder that can.") from None
    return kept


def notebooks() -> list[Path]:
    """The shipped notebooks, in the order of the lessons."""
    return sorted(SHIPPED.glob("[0-9][0-9]_*.ipynb"))


def first(work: Path) -> Path | None:
    """The copy to begin with; None where the course came without notebooks."""
    return next((work / FOLDER / original.name for original in notebooks()), None)


def cells(notebook: Path) -> str:
    """A hash of a notebook's cells: their kinds and sources. Of all its bytes, if it is none."""
    content = notebook.read_bytes()
    try:
        said = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(content)["cells"]]
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _link(folder: Path) -> None:
    for file in SHIPPED.iterdir():
        link = folder / file.name
        if file.suffix not in BESIDE or file.name == "conftest.py" or (link.exists() and not link.is_symlink()):
            continue
        if not link.is_symlink() or link.resolve() != file.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(file)


def _recorded(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / RECORD).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}
