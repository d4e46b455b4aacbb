"""The helpers of the notebooks, in real kernels where that matters."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from awaiting import PATIENCE, until
from claims import NOTEBOOKS_FOLDER, Record, records
from jupyter_client.manager import KernelManager, start_new_kernel
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from labserver.running.process import free_port

pytestmark = pytest.mark.slow

PREPARE = f"import sys; sys.path.insert(0, {str(NOTEBOOKS_FOLDER)!r}); import kit"


def run(source: str, path: Path) -> nbformat.NotebookNode:
    """One cell after ``import kit``, in a kernel of its own; stored at ``path`` even if the cell fails."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in (PREPARE, source)]
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(cells=cells)
    try:
        NotebookClient(
            notebook, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": path.parent}}
        ).execute()
    finally:
        nbformat.write(notebook, path)
    return notebook


@pytest.fixture
def notebook(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABSERVER_HOME", str(home))
    return tmp_path / "small.ipynb"


def test_a_claim_leaves_a_sentence_and_a_record(notebook: Path) -> None:
    done = run("kit.claim(6, 'speed <up>', 7.25, 'times', at_least=5)", notebook)
    [output] = done.cells[1].outputs
    assert output.data["text/plain"] == "Lesson 6: speed <up>: at least 5 times"
    assert '<span class="measured">7.25 times</span>' in output.data["text/html"]
    assert "speed &lt;up&gt;" in output.data["text/html"]
    assert records(notebook) == [Record(6, "speed <up>", 7.25, "times", {"at_least": 5})]


def test_a_claim_that_does_not_hold_ends_the_run_and_leaves_its_record(notebook: Path) -> None:
    with pytest.raises(CellExecutionError, match=r"Lesson 6: speed-up: at least 5 times; measured: 4\.9 times"):
        run("kit.claim(6, 'speed-up', 4.9, 'times', at_least=5)", notebook)
    [record] = records(notebook)
    assert not record.holds


def test_no_service_is_one_sentence(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("LABSERVER_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(CellExecutionError):
        run("kit.service()", notebook)
    [output] = nbformat.read(notebook, 4).cells[1].outputs
    assert output.traceback == [
        f"No lab service answers at http://127.0.0.1:{port}. "
        "Start yours in a terminal with `lab start`, then run this cell again."
    ]


@contextmanager
def kernel() -> Iterator[tuple[KernelManager, Any]]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield manager, client
    finally:
        client.stop_channels()
        if manager.is_alive():
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()  # also of a kernel that a test has killed


def test_a_stage_does_not_outlive_a_killed_kernel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABSERVER_HOME", str(home))
    with kernel() as (manager, client):
        found: list[str] = []
        reply = client.execute_interactive(
            f"{PREPARE}\nstarted = kit.stage(9)\nprint(started.pid)",
            timeout=PATIENCE,
            output_hook=lambda message: found.append(message["content"].get("text", "")),
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        stage = psutil.Process(int("".join(found)))
        assert "labserver.stages.server" in " ".join(stage.cmdline())
        assert isinstance(manager.provisioner, LocalProvisioner)
        assert manager.provisioner.pid
        os.kill(manager.provisioner.pid, signal.SIGKILL)
        until(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE, "The stage lives on.")


def script(source: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A plain process in place of a kernel: quicker, and ``kit`` keeps out of the tests' own process."""
    return subprocess.run(
        [sys.executable, "-c", f"{PREPARE}\n{source}"],
        env=os.environ | {"LABSERVER_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("value", "bound", "holds"),
    [
        ("5", "at_least=5", True),
        ("5.1", "at_most=5", False),
        ("5.1", "equals=5", False),
        ("float('nan')", "at_least=5", False),
        ("float('nan')", "at_most=5", False),
    ],
)
def test_a_claim_keeps_to_its_bound(home: Path, value: str, bound: str, holds: bool) -> None:
    assert (script(f"kit.claim(6, 'speed-up', {value}, 'times', {bound})", home).returncode == 0) == holds


def test_a_stage_takes_another_port_where_one_is_taken(home: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = script(
            f"""
from labserver.running import process
free = process.free_port
ports = iter([{port}])
process.free_port = lambda: next(ports, None) or free()
with kit.stage(9) as stage:
    print(stage.get("/readyz").status_code, stage.url.endswith(":{port}"))
""",
            home,
        )
    assert done.stdout == "200 False\n", done.stderr


def test_a_stage_has_settings_parts_and_a_home_of_its_own_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    parts = tmp_path / "own.py"
    parts.write_text("from labserver.finished import ranges as theirs\n\ndef ranges(context): return theirs(context)\n")
    done = script(
        f"""
from pathlib import Path
import psutil
with kit.stage(9, Path({str(parts)!r}), cost_missed_delay=9) as stage:
    print(stage.get("/v1/model").json()["own_parts"], (stage.home / "state").is_dir())
    flight = kit.flights("2013-10-15", 1)[0]
    print(stage.post("/v1/predictions", flight).status_code)
print(psutil.pid_exists(stage.pid), stage.home.exists())
""",
        home,
        LABSERVER_PARTS="/nowhere",
    )
    assert done.stdout == "['ranges'] True\n200\nFalse False\n", done.stderr


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("kit.stage(9, threads='many')", "Stage 9 did not start. LABSERVER_THREADS='many' is not usable"),
        ("kit.stage(9, treads=2)", "There is no setting treads."),
        ("kit.app('no_such_file:app')", "no_such_file:app did not start."),
    ],
)
def test_a_stage_that_does_not_start_says_why_in_a_sentence(home: Path, call: str, sentence: str) -> None:
    done = script(f"try:\n    {call}\nexcept kit.CannotStart as error:\n    print(error)", home)
    assert done.stdout.startswith(sentence), done.stderr
    assert len(done.stdout) < 600


def test_a_comparison_interleaves_its_rounds_and_knows_the_slower(home: Path) -> None:
    done = script(
        """
import time
turns = []
def wait(name, seconds):
    def call():
        turns.append(name)
        time.sleep(seconds)
    return call
found = kit.compare({"slow": wait("s", 0.02), "fast": wait("f", 0.001)}, rounds=3, each=2)
print("".join(turns), found.ratio("slow", "fast") > 3, found.milliseconds("slow") >= 20)
""",
        home,
    )
    assert done.stdout == "sf" + "ssff" + "ffss" + "ssff" + " True True\n", done.stderr


def test_a_comparison_refuses_to_time_errors(home: Path) -> None:
    done = script(
        """
import requests
answer = requests.Response()
answer.status_code = 500
try:
    kit.compare({"broken": lambda: answer})
except requests.HTTPError as error:
    print("refused")
""",
        home,
    )
    assert done.stdout == "refused\n", done.stderr


def test_a_picture_carries_its_words(notebook: Path) -> None:
    words = 'Two lines; the "first" rises.'
    done = run(f"figure, axes = kit.picture('One rises')\naxes.plot([0, 1])\nkit.show(figure, {words!r})", notebook)
    [output] = done.cells[1].outputs
    assert output.data["image/png"].startswith("iVBOR")
    assert output.metadata["image/png"]["alt"] == words
    assert output.data["text/plain"] == words
    page, _ = HTMLExporter().from_notebook_node(done)
    assert """alt='Two lines; the "first" rises.'""" in page
    assert "No description has been provided" not in page
