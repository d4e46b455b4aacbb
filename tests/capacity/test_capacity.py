"""``labserver capacity`` and ``labserver bench`` against the real thing, briefly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from services import own_home

from labserver.capacity import mlserver_peer
from labserver.capacity.bench import bench
from labserver.capacity.copies import COPIED_SCHEMAS, copied
from labserver.capacity.measure import Run, check
from labserver.errors import LabError
from labserver.pipeline.sources.contracts import SOURCES
from labserver.pipeline.sources.warehouse import check_contracts, load_sources
from labserver.settings import Settings

pytestmark = pytest.mark.slow

SHORT = [*("--levels", "1,2,8", "--seconds", "4", "--rounds", "1"), *("--rate", "1", "--p99", "100000")]


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labserver.cli", *words],
        env=os.environ | {"LABSERVER_HOME": str(folder), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_short_run_gives_sane_numbers_pictures_and_a_plan(home: Path, tmp_path: Path) -> None:
    folder, wanted = own_home(home, tmp_path / "home"), tmp_path / "found.json"
    done = command(folder, "capacity", *SHORT, "--json", str(wanted), "--plot", str(tmp_path / "plots"))
    assert wanted.exists(), done.stdout + done.stderr
    found = json.loads(wanted.read_text())
    measured, plan = found["measured"], found["plan"]
    for level in measured["levels"]:
        assert level["throughput"] > 0
        # Little's law, as an identity of a closed loop: who is not inside is in the generator
        assert 0.2 * level["users"] < level["throughput"] * level["mean_ms"] / 1e3 <= 1.05 * level["users"]
        assert 0 < level["busy"] < 1.5
    assert [point["rate"] for point in measured["points"]] == pytest.approx(
        [share * measured["peak"] for share in (0.3, 0.5, 0.7, 0.8, 0.9)]
    )
    assert 20 < measured["worker"]["memory"]["alone"] < 1000
    assert max(measured["start_up"]["mib"]) == pytest.approx(measured["worker"]["memory"]["alone"], rel=0.5)
    assert measured["start_up"]["seconds"][-1] >= measured["start_up"]["ready_seconds"]
    assert plan["workers"] == 1
    if plan["met"]:  # as it is unless this machine stood still
        assert done.returncode == 0
        assert "labserver serve --lesson 9 --workers 1" in done.stdout
    else:
        assert done.returncode == 1
        assert "The target cannot be met, limited by" in done.stdout
    for name in ("throughput", "latency", "memory"):
        assert (tmp_path / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in folder.iterdir()) == ["bundle", "teaching", "warehouse.duckdb"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("capacity", "--levels", "1,2"), "three levels or more"),
        (("capacity", "--levels", "1,two,3"), "--levels '1,two,3' is not a list"),
        (("bench", "--stages", "nine"), "--stages 'nine' is not a list"),
        (("bench", "--stages", "9"), "no bundle"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = command(tmp_path, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_a_missing_tool_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LabError, match="apt-get install wrk"):
        bench(settings, [9], 3, 1, print)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LabError, match="locust is not installed"):
        check(Run())


def test_copies_keep_the_contracts(tmp_path: Path) -> None:
    """Twice the flights, each with a plane of its own, and every key still unique."""
    with duckdb.connect() as db:
        load_sources(db, copied(tmp_path, 2), COPIED_SCHEMAS)
        check_contracts(db, [replace(s, rows=s.rows * (2 if s.name in ("flights", "planes") else 1)) for s in SOURCES])
        [[known, copied_known]] = db.execute(
            "SELECT count(*) FILTER (tailnum NOT LIKE '%-1'), count(*) FILTER (tailnum LIKE '%-1') "
            "FROM flights JOIN planes USING (tailnum)"
        ).fetchall()
    assert known == copied_known > 280_000


def test_mlserver_answers_as_the_bundle_does(home: Path, tmp_path: Path) -> None:
    programs = home / "mlserver-venv" / "bin"
    if not (programs / "mlserver").exists():
        pytest.skip("MLServer is not here. `labserver bench --mlserver` installs it, in an environment of its own.")
    with mlserver_peer.running_mlserver(Settings(home=own_home(home, tmp_path)), programs, ()) as server:
        assert server.ready_seconds > 0  # it has compared the answer
