"""Services that the tools start: on their own core and their own state, and gone whatever becomes of their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from running import own_home

from labserver.capacity.memory import family, pss_mib
from labserver.capacity.process import running_stage, scratch_home
from labserver.errors import LabError
from labserver.settings import Settings

PARENT = """
import signal, sys
from pathlib import Path
from labserver.capacity.process import running_stage
from labserver.settings import Settings

with running_stage(Settings(home=Path(sys.argv[1])), 9, workers=2) as server:
    print(server.process.pid, flush=True)
    signal.pause()
"""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_no_worker_outlives_a_killed_parent(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = family(int(parent.stdout.readline()))
        assert len(pids) >= 3
        parent.kill()
    deadline = time.monotonic() + 20
    while not all(gone(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = [pid for pid in pids if not gone(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_a_stage_is_pinned_ready_measurable_and_stopped(home: Path, tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    folder = own_home(home, tmp_path)
    with scratch_home(Settings(home=folder)) as scratch, running_stage(scratch, 9, cores=[core]) as server:
        pid = server.process.pid
        assert os.sched_getaffinity(pid) == {core}
        assert 0 < server.ready_seconds < 60
        assert 20 < pss_mib(pid) <= psutil.Process(pid).memory_info().rss / 2**20
        assert (scratch.home / "state").exists()
    assert gone(pid)
    assert sorted(path.name for path in folder.iterdir()) == ["bundle", "teaching", "warehouse.duckdb"]


def test_a_stage_that_does_not_start_says_why(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=own_home(home, tmp_path))
    broken = {"LABSERVER_THREADS": "none"}
    with pytest.raises(LabError, match="LABSERVER_THREADS"), running_stage(settings, 9, environment=broken):
        pass


def test_nothing_is_built(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="labserver build"), scratch_home(Settings(home=tmp_path)):
        pass
    with pytest.raises(LabError, match="how much memory"):
        pss_mib(2**22 + 1)
