"""``make notebooks``: runs notebooks in place, each in a kernel of its own, and leaves no trace of when and where.

``python tests/tools/execute.py [NUMBER ...]`` runs some, such as ``00 07``; without a number, all.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "notebooks")]
from claims import NOTEBOOKS, NOTEBOOKS_FOLDER  # noqa: E402
from services import own_home, running  # noqa: E402

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path, folder: Path = NOTEBOOKS_FOLDER) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom in ``folder``; return it as it should be stored.

    Raises:
        nbclient.exceptions.CellExecutionError: at the first cell that fails.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    ).execute()
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    return notebook


def main(numbers: list[str]) -> None:
    home = Path(os.environ.get("LABSERVER_HOME") or NOTEBOOKS_FOLDER.parent / "var").resolve()
    with tempfile.TemporaryDirectory() as folder, running(own_home(home, Path(folder))) as service:
        os.environ |= {"LABSERVER_HOME": str(home), "LABSERVER_URL": service.url, "LAB_WORK": f"{folder}/work"}
        for path in NOTEBOOKS:
            if not numbers or path.name[:2] in numbers:
                started = time.perf_counter()
                nbformat.write(execute(path), path)
                print(f"{path.name}: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
