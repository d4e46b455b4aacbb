"""Files of another user: each command that meets one ends with one sentence that names it, or works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest
from awaiting import PATIENCE, until
from services import FLIGHT, Running, own_home, running, store_of

from labserver.features.store import copy_snapshot
from labserver.model.bundle import load_bundle
from labserver.running.process import free_port

pytestmark = pytest.mark.slow

OTHER = 1234
"""The number of another user."""
ORDINARY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""The words that start a command without an administrator's privileges. Other users' files are then closed to it."""

COMMANDS = {
    "serve": ["labserver.cli", "serve"],
    "workers": ["labserver.cli", "serve", "--workers", "2"],
    "fresh": ["labserver.cli", "serve", "--fresh-store"],
    "stage-2": ["labserver.cli", "serve", "--lesson", "2"],
    "server": ["labserver.server"],
    "clock": ["labserver.cli", "clock"],
    "set-clock": ["labserver.cli", "clock", "2013-09-05"],
    "build": ["labserver.cli", "build"],
    "score": ["labserver.cli", "score", "--month", "2013-09", "--out", "scored.csv"],
    "start": ["exercises.lab", "start", "--no-jupyter"],
    "lab-serve": ["exercises.lab", "serve"],
    "progress": ["exercises.lab", "progress"],
}


@pytest.fixture(scope="module", autouse=True)
def _able() -> None:
    if os.geteuid() or shutil.which("setpriv") is None or subprocess.run([*ORDINARY, "true"], check=False).returncode:
        pytest.skip("Only an administrator can give files away and privileges up.")


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """A home with a state and a copy of the bundle, all of it this user's."""
    own = own_home(home, tmp_path / "home")
    shelf = own / "bundles"
    shutil.copytree(load_bundle(home / "bundle").path, shelf / "copy")
    (own / "bundle").unlink()
    (own / "bundle").symlink_to("bundles/copy")
    (own / "teaching").unlink()
    shutil.copytree(home / "teaching", own / "teaching")
    copy_snapshot(own / "bundle/online.db", store_of(own))
    return own


def give(*paths: Path, mode: int | None = None) -> None:
    """Give files or folders to another user."""
    for path in paths:
        os.chown(path, OTHER, OTHER)
        if mode is not None:
            path.chmod(mode)


def variables(folder: Path) -> dict[str, str]:
    return {
        "LABSERVER_HOME": str(folder),
        "LABSERVER_PORT": str(free_port()),
        "LAB_WORK": str(folder.parent / "work"),
        "JUPYTER_RUNTIME_DIR": str(folder.parent / "runtime"),
        "COLUMNS": "400",
    }


def said(folder: Path, command: str, before: Sequence[str] = ()) -> str:
    """The one sentence with which a command ends, with no process left."""
    process = subprocess.Popen(
        [*before, *ORDINARY, sys.executable, "-m", *COMMANDS[command]],
        env=os.environ | variables(folder),
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    until(lambda: not left(process.pid), lambda: left(process.pid))
    assert process.returncode == 1, printed
    assert "Traceback" not in printed
    assert printed.count("error: ") == 1 + (command == "start" and "The service ended" in printed), printed
    return re.sub(r"\s+", " ", printed).strip()


def left(session: int) -> list[psutil.Process]:
    """Processes of a session that have not ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            pass
    return found


def closed_home(folder: Path) -> Path:
    give(folder, mode=0o700)
    return folder


def read_only_home(folder: Path) -> Path:
    shutil.rmtree(folder / "state")
    give(folder)
    return folder


def read_only_state(folder: Path) -> Path:
    give(folder / "state")
    return folder / "state"


def secret_model(folder: Path) -> Path:
    give(folder / "bundles/copy/model.onnx", mode=0o600)
    return Path("model.onnx")


def closed_experiment(folder: Path) -> Path:
    give(folder / "teaching", mode=0o700)
    return folder / "teaching/"


def shelf_of_another(folder: Path) -> Path:
    give(folder / "bundles")
    return folder / "bundles/"


def store_of_another(folder: Path) -> Path:
    store = store_of(folder)
    give(store)
    return store


def secret_store(folder: Path) -> Path:
    store = store_of(folder)
    give(store, mode=0o600)
    return store


def store_log_of_another(folder: Path) -> Path:
    log = store_of(folder).with_name(store_of(folder).name + "-wal")
    log.write_bytes(b"")
    give(log)
    return log


def lock_of_another(folder: Path) -> Path:
    store_of(folder).unlink()
    lock = store_of(folder).with_suffix(".lock")
    lock.write_bytes(b"")
    give(lock)
    return lock


def half_copy_of_another(folder: Path) -> Path:
    store_of(folder).unlink()
    half = store_of(folder).with_suffix(".new")
    half.write_bytes(b"")
    give(half)
    return half


def outcomes_of_another(folder: Path) -> Path:
    with running(folder) as service:  # makes them
        assert service.ready()
    give(folder / "state/outcomes.db")
    return folder / "state/outcomes.db"


def closed_work(folder: Path) -> Path:
    work = folder.parent / "work"
    work.mkdir()
    (work / ".lab.json").write_text("{}")
    give(work, mode=0o700)
    return work


@pytest.mark.parametrize(
    ("take", "command"),
    [
        *((closed_home, command) for command in ("clock", "build", "start")),
        *((read_only_home, command) for command in ("serve", "build", "start", "lab-serve")),
        *((read_only_state, command) for command in ("fresh", "server", "set-clock")),
        *((secret_model, command) for command in ("serve", "workers", "score")),
        *((closed_experiment, command) for command in ("stage-2", "build")),
        (shelf_of_another, "build"),
        *((secret_store, command) for command in ("workers", "clock")),
        *((store_of_another, "set-clock"), (store_log_of_another, "set-clock")),
        *((lock_of_another, command) for command in ("serve", "clock")),
        *((half_copy_of_another, command) for command in ("serve", "workers")),
        *((outcomes_of_another, command) for command in ("serve", "workers")),
        (closed_work, "progress"),
    ],
)
def test_files_of_another_user_are_one_sentence(folder: Path, take: Callable[[Path], Path], command: str) -> None:
    taken = str(take(folder))
    printed = said(folder, command)
    assert taken in printed
    assert re.search(r"Run `|LABSERVER_HOME|LAB_WORK", printed)


ALONE = [*ORDINARY, sys.executable, "-m", "labserver.cli", "serve"]


def test_a_replay_into_the_store_of_another_user_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(folder, program=ALONE) as service:
        give(store_of(folder))
        monkeypatch.setitem(COMMANDS, "replay", ["labserver.cli", "replay", "--every", "200", "--url", service.url])
        assert f"cannot read and write {store_of(folder)}. Run `sudo chown" in said(folder, "replay")


def alerts(service: Running) -> str:
    return str(service.get("/v1/monitor").json()["alerts"])


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_predictions_of_another_user_stop_nobody_and_an_alert_names_the_file(folder: Path, mode: int) -> None:
    with running(folder) as service:
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
    give(folder / "state/predictions.db", mode=mode)
    with running(folder, program=ALONE) as service:
        answer = service.post("/v1/predictions", FLIGHT)
        assert answer.status_code == 200
        assert service.post("/v1/outcomes", {"id": answer.json()["id"], "arrival_delay_minutes": 3}).status_code < 300
        until(lambda: "cannot read and write predictions.db" in alerts(service), lambda: alerts(service))


def test_the_readable_store_of_another_user_serves(folder: Path) -> None:
    give(store_of(folder))
    with running(folder, program=ALONE) as service:
        assert service.post("/v1/predictions", FLIGHT).status_code == 200


SEALED = """mount --bind /tmp /tmp && mount --bind "$0" "$0" && mount -o remount,ro,bind /tmp
for there in /dev/shm /var/tmp /usr/tmp; do test ! -d $there || mount -t tmpfs -o ro tmpfs $there; done
cd /sys && exec "$@" """
"""Leaves no temporary folder that can be written, and the folder that it gets as it is."""


def test_without_a_temporary_folder_one_worker_serves_and_several_are_one_sentence(folder: Path) -> None:
    words = ["unshare", "--mount", "sh", "-c", SEALED, str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("No folder can be mounted here.")
    with running(folder, program=[*words, *ALONE]) as service:
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
    assert "Set TMPDIR to a folder that this user can write to, or start one worker." in said(folder, "workers", words)
