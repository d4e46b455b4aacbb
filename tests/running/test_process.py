"""Services that the tools start: on their own core and their own state, and gone whatever becomes of their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from awaiting import PATIENCE, until
from services import own_home

from labserver.capacity.memory import family, pss_mib
from labserver.errors import LabError
from labserver.running import process
from labserver.running.process import running_stage, scratch_home
from labserver.settings import Settings

pytestmark = pytest.mark.slow

PARENT = """
import signal, sys
from pathlib import Path
from labserver.running.process import running_stage
from labserver.settings import Settings

with running_stage(Settings(home=Path(sys.argv[1])), 9, workers=2) as server:
    print(server.process.pid, flush=True)
    signal.pause()
"""


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_no_worker_outlives_a_killed_parent(home: Path, tmp_path: Path) -> None:
    folder = own_home(home, tmp_path)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = family(int(parent.stdout.readline()))
        assert len(pids) >= 3
        parent.kill()
    try:
        until(lambda: all(gone(pid) for pid in pids), lambda: [pid for pid in pids if not gone(pid)])
    finally:
        for pid in pids:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)


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


TAKE = """
import sys
from labserver.running import process
process.PORTS = range(int(sys.argv[1]), int(sys.argv[2]))
process.free_port()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Ports are claimed on Linux alone. Run this test there.")
def test_no_port_is_given_twice_nor_one_that_a_connection_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    first_of_connections = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert process.PORTS.stop <= first_of_connections
    at = process.free_port() + 1
    few, given = range(at, at + 5), list[int]()
    monkeypatch.setattr(process, "PORTS", few)

    def take_all() -> None:
        while True:
            given.append(process.free_port())

    with pytest.raises(LabError, match="No port from"):
        take_all()
    assert len(given) == len(set(given)) > 0
    command = [sys.executable, "-c", TAKE, str(few.start), str(few.stop)]
    other = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "No port from" in other.stderr
