"""The learner's copies of the notebooks, in ``work/notebooks/``. Learners run and edit these, not the shipped ones.

A shipped notebook that was run differs from the course's, and git would reject the next update. ``.lab.json`` beside
the copies keeps the hash of the cells that each was copied with. Outputs do not count: a notebook that was only run is
replaced when the course changes it; one that was edited stays.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from exercises.checks.registry import ROOT
from labserver.errors import LabError
from labserver.writing import write_whole

SHIPPED_FOLDER = ROOT / "notebooks"
COPIES_FOLDER = "notebooks"
COPIES_RECORD = ".lab.json"
LINKED_SUFFIXES = (".py", ".json", ".png", ".Containerfile")
"""Suffixes of files that notebooks use. They are linked, so that they are always those of the course."""


def copy_notebooks(work: Path) -> list[Path]:
    """Copy missing notebooks, and replace those that the course has changed and the learner has not edited.

    Returns the edited ones whose original has changed.

    Raises:
        LabError: if the folder cannot be written.
    """
    folder = work / COPIES_FOLDER
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
                write_whole(copy, _as_opened(original))
                recorded[original.name] = now
        write_whole(folder / COPIES_RECORD, json.dumps(recorded, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise LabError(f"{folder} cannot be written ({error.strerror}). Set LAB_WORK to a folder that can.") from None
    return kept


def _as_opened(original: Path) -> bytes:
    """The notebook with the metadata that JupyterLab would write once a kernel runs.

    Without them JupyterLab marks a notebook as unsaved before the user has changed it.
    """
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelspec import get_kernel_dict

    notebook = json.loads(original.read_bytes())
    kernel = get_kernel_dict()
    notebook["metadata"] = {
        "kernelspec": {"display_name": kernel["display_name"], "language": kernel["language"], "name": "python3"},
        "language_info": IPythonKernel.language_info,
    }
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def notebooks() -> list[Path]:
    """The shipped notebooks, in the order of the lessons."""
    return sorted(SHIPPED_FOLDER.glob("[0-9][0-9]_*.ipynb"))


def first_copy(work: Path) -> Path | None:
    """The copy to begin with; None if the course came without notebooks."""
    return next((work / COPIES_FOLDER / original.name for original in notebooks()), None)


def cells(notebook: Path) -> str:
    """A hash of a notebook's cells: their kinds and sources. Of all its bytes, if it is not a notebook."""
    content = notebook.read_bytes()
    try:
        said = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(content)["cells"]]
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _link(folder: Path) -> None:
    for file in SHIPPED_FOLDER.iterdir():
        link = folder / file.name
        if (
            file.suffix not in LINKED_SUFFIXES
            or file.name == "conftest.py"
            or (link.exists() and not link.is_symlink())
        ):
            continue
        if not link.is_symlink() or link.resolve() != file.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(file)


def _recorded(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / COPIES_RECORD).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}
