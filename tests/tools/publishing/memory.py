"""Measures the memory of a learner's processes: ``python -m publishing.memory``.

Each notebook is run, and then the check of its exercise, with the course's own solution in place. Meanwhile the
proportional set size (PSS) of everything that they have started is added up, five times a second. ``make memory``
prints the table of INSTRUCTORS.md. What runs in a container is nobody's child and would not be seen, so
lesson 1 is measured without an engine, as on a hub.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient

from exercises.checks.registry import EXERCISES, Exercise
from labserver.capacity.memory import family, pss_mib
from labserver.errors import LabError

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
SAMPLE_SECONDS = 0.2  # seconds between two looks
SETTLED = 3.0  # seconds after the last cell until what is left is measured
HEADER = """| lesson | notebook at its peak | open, after its last cell | check at its peak |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Need:
    """MiB of PSS: of a notebook's kernel and all it starts at the peak, of what is left at the end, of the check."""

    lesson: int
    peak: float
    left: float
    check: float


def tree_mib(pid: int) -> float:
    """PSS of a process and all that it has started. What ends meanwhile counts nothing."""
    total = 0.0
    try:
        for each in family(pid):
            try:
                total += pss_mib(each)
            except LabError:
                continue
    except psutil.NoSuchProcess:
        pass
    return total


@contextmanager
def watched(pid: int) -> Iterator[Callable[[], float]]:
    """The largest ``tree_mib`` since the block began."""
    most, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            most.append(tree_mib(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: max(most)
    finally:
        over.set()
        thread.join()


def of_notebook(path: Path) -> tuple[float, float]:
    """Peak, and what is left when the last cell has run.

    Raises:
        nbclient.exceptions.CellExecutionError: at the first cell that fails.
    """
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    with client.setup_kernel(), watched(_kernel(client)) as peak:
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        time.sleep(SETTLED)
        return peak(), tree_mib(_kernel(client))


def _kernel(client: NotebookClient) -> int:
    """The process id of its kernel, which runs on this machine."""
    provisioner = client.km.provisioner if client.km else None
    assert isinstance(provisioner, LocalProvisioner), "the kernel has started"
    assert provisioner.pid is not None
    return provisioner.pid


def of_check(exercise: Exercise, work: Path) -> float:
    """Peak of ``lab check`` on the course's own solution.

    Raises:
        LabError: if the solution is not accepted.
    """
    shutil.copy(exercise.solution, work / exercise.file)
    command = [sys.executable, "-m", "exercises.lab.cli", "check", str(exercise.lesson)]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=NOTEBOOKS.parent) as process,
        watched(process.pid) as peak,
    ):
        if process.wait():
            raise LabError(f"The check of lesson {exercise.lesson} does not accept the solution.")
        return peak()


def measure_lessons() -> Iterator[Need]:
    """Every lesson in turn, beside a finished service of its own."""
    import kit

    os.environ["BASE_IMAGE"] = "localhost/no-such-base"  # no container, but a virtual environment
    with tempfile.TemporaryDirectory() as folder, kit.stage(9) as service:
        os.environ |= {"LABSERVER_URL": service.url, "LAB_WORK": folder}
        print(f"finished service, idle: {tree_mib(service.pid):.0f} MiB", file=sys.stderr)
        for path, exercise in zip(sorted(NOTEBOOKS.glob("0*.ipynb")), EXERCISES, strict=True):
            peak, left = of_notebook(path)
            yield Need(exercise.lesson, peak, left, of_check(exercise, Path(folder)))
        print(f"finished service, used: {tree_mib(service.pid):.0f} MiB", file=sys.stderr)


def main() -> None:
    print(HEADER, end="")
    for need in measure_lessons():
        print(
            f"| {need.lesson} | {need.peak:,.0f} MiB | {need.left:,.0f} MiB | {need.check:,.0f} MiB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
