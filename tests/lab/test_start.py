"""``lab start`` from its first line to its end: where it says it is, who may read that, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import requests
from awaiting import PATIENCE
from services import FLIGHT, Running, own_home, running
from started import LAB, environment, started

from exercises.checks.registry import ROOT
from exercises.lab import notebook_copies
from labserver.model.bundle import load_bundle
from labserver.running import announcement
from labserver.running.announcement import Announcement

pytestmark = pytest.mark.slow

NOTEBOOKS = ROOT / "notebooks"


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    except requests.RequestException:
        return False


def test_a_start_on_a_taken_port_a_second_one_and_a_closed_terminal(home: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        learner = environment(home, tmp_path, LABSERVER_PORT=str(taken.getsockname()[1]))
        with started(learner) as lab:
            assert str(taken.getsockname()[1]) not in lab.service
            assert requests.post(f"{lab.service}/v1/predictions", json=FLIGHT, timeout=PATIENCE).status_code == 200
            assert "00_separate_model_and_features.ipynb?token=" in lab.jupyter
            assert requests.get(lab.jupyter, timeout=PATIENCE).status_code == 200
            assert requests.get(lab.jupyter.replace(lab.token, "wrong"), timeout=PATIENCE).url.count("/login")
            [file] = lab.announcements
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert lab.announced()["token"] == lab.token
            assert len(lab.token) >= 32
            assert not [process for process in lab.processes() if lab.token in " ".join(process.cmdline())]
            logs = list(Path(learner["LABSERVER_HOME"]).glob("server-*.log"))
            assert len(logs) == 2
            assert lab.token not in "".join(log.read_text() for log in logs)

            again = subprocess.run(LAB, env=learner, capture_output=True, text=True, timeout=PATIENCE, check=False)
            assert again.returncode == 0, again.stderr
            assert f"{lab.service}/\n" in again.stdout
            assert f"{lab.jupyter}\n" in again.stdout
            assert lab.announced()["pid"] == lab.process.pid

            kernel = {**learner, "PYTHONPATH": str(NOTEBOOKS)}
            code = "import live; print(live.service().url)"
            found = subprocess.run([sys.executable, "-c", code], env=kernel, capture_output=True, text=True, check=True)
            assert found.stdout.strip() == lab.service

            lab.end(signal.SIGHUP)
            assert not lab.announcements
            assert not list(Path(learner["JUPYTER_RUNTIME_DIR"]).glob("jpserver-*"))


def test_a_killed_start_leaves_no_process_and_its_file_fools_nobody(home: Path, tmp_path: Path) -> None:
    learner = environment(home, tmp_path)
    with started(learner, "--no-jupyter") as lab:
        killed = lab.service
        lab.end(signal.SIGKILL)
    assert not answers(killed)
    stale = lab.announced()
    with started(learner, "--no-jupyter") as lab:
        assert "Ready." in lab.said
        assert lab.announced()["pid"] == lab.process.pid != stale["pid"]
        assert "JupyterLab" not in lab.said
        with_jupyter = subprocess.run(LAB, env=learner, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert with_jupyter.returncode == 1
        assert "without JupyterLab" in with_jupyter.stderr
        lab.end(signal.SIGTERM)
        assert lab.process.returncode == 0
        assert lab.said.endswith("Stopped.\n")
    assert not lab.announcements


def test_ctrl_c_and_a_service_that_dies(home: Path, tmp_path: Path) -> None:
    learner = environment(home, tmp_path)
    ours, theirs = pty.openpty()
    with started(learner, "--no-jupyter", stdin=theirs, start_new_session=True) as lab:
        # As a terminal does: to every process of the group.
        alive = lab.processes()
        os.killpg(lab.process.pid, signal.SIGINT)
        assert lab.process.wait(timeout=PATIENCE) == 0
        assert not psutil.wait_procs(alive, timeout=PATIENCE)[1]
    with started(learner, "--no-jupyter") as lab:
        [service] = lab.processes()[1:]
        service.kill()
        assert lab.process.wait(timeout=PATIENCE) == 1
        assert "error: The service has ended" in lab.said
    assert not lab.announcements
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def service(home: Path, tmp_path: Path) -> Iterator[Running]:
    with running(own_home(home, tmp_path / "home")) as started:
        yield started


def test_only_a_start_that_lives_and_answers_is_found(
    service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    bundle = load_bundle(service.home / "bundle").manifest["bundle_hash"]
    good = Announcement(os.getpid(), str(service.home.resolve()), bundle, service.url)
    assert announcement.find(service.home) is None
    announcement.announce(good)
    assert announcement.find(service.home) == good
    assert announcement.find(tmp_path) is None
    ended = subprocess.Popen(["true"])
    ended.wait()
    for bad in (
        replace(good, pid=ended.pid),
        replace(good, bundle="another"),
        replace(good, home=str(tmp_path)),
        replace(good, jupyter=f"{service.url}/lab?token=abc", token="abc"),  # answered by something else
    ):
        announcement.place(service.home).write_text(json.dumps(vars(bad)))
        assert announcement.find(service.home) is None, bad
    announcement.place(service.home).write_text("not what it should be")
    assert announcement.find(service.home) is None
    announcement.announce(good)
    announcement.withdraw(replace(good, pid=1))
    assert announcement.find(service.home) == good
    announcement.withdraw(good)
    assert announcement.find(service.home) is None


def notebook(file: Path, source: str, output: str = "") -> None:
    file.write_text(json.dumps({"cells": [{"cell_type": "code", "source": [source], "outputs": [output]}]}))


def test_copies_that_were_only_run_are_renewed_and_edited_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, work = tmp_path / "shipped", tmp_path / "work"
    shipped.mkdir()
    monkeypatch.setattr(notebook_copies, "SHIPPED_FOLDER", shipped)
    names = ("00_run.ipynb", "01_edited.ipynb", "02_deleted.ipynb")
    for name in names:
        notebook(shipped / name, "1 + 1")
    (shipped / "kit.py").write_text("")
    assert notebook_copies.copy_notebooks(work) == []
    run, edited, deleted = (work / "notebooks" / name for name in names)
    assert (run.parent / "kit.py").resolve() == (shipped / "kit.py").resolve()

    notebook(run, "1 + 1", "2")
    notebook(edited, "1 + 2", "3")
    deleted.unlink()
    kept = run.read_text(), edited.read_text()
    assert notebook_copies.copy_notebooks(work) == []
    assert (run.read_text(), edited.read_text()) == kept  # the course has not changed: nothing is touched
    assert deleted.exists()

    for name in names:
        notebook(shipped / name, "1 + 10")
    assert notebook_copies.copy_notebooks(work) == [edited]
    assert edited.read_text() == kept[1]
    assert notebook_copies.cells(run) == notebook_copies.cells(shipped / run.name)
    assert json.loads(run.read_text())["cells"][0]["outputs"] == [""]
    assert notebook_copies.copy_notebooks(work) == [edited]
    edited.rename(edited.with_name("mine.ipynb"))
    assert notebook_copies.copy_notebooks(work) == []
    assert notebook_copies.cells(edited) == notebook_copies.cells(shipped / edited.name)


def test_the_copies_import_what_stands_beside_the_shipped_notebooks(tmp_path: Path) -> None:
    notebook_copies.copy_notebooks(tmp_path)
    code = "import live; from importlib.util import find_spec; find_spec('kit').name; print(live.NOTEBOOKS, live.HOME)"
    kernel = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "LABSERVER_HOME"}}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "notebooks", env=kernel, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(NOTEBOOKS), str(ROOT / "var")]
