"""A log that nobody reads, and one that cannot be written, cost lines and no answers."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests
from asking import metrics
from awaiting import PATIENCE, until
from services import FLIGHT, command, own_home

from labserver.api.log_writer import LogWriter
from labserver.running.process import free_port

LINE = b"x" * 99 + b"\n"


def test_lines_come_out_whole_and_in_their_order() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    lines = [b"%d\n" % number for number in range(1000)]
    for line in lines:
        writer.write(line)
    assert writer.finish(PATIENCE)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"".join(lines)
    assert writer.dropped == 0


def test_a_file_has_each_line_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LogWriter(file.fileno())
        for number in range(100):
            writer.write(b"%d\n" % number)
            assert (tmp_path / "log").read_bytes().endswith(b"%d\n" % number)


def test_what_does_not_fit_is_dropped_and_counted_and_nobody_waits() -> None:
    reading, writing = os.pipe()
    told: list[int] = []
    writer = LogWriter(writing, room=10_000)
    writer.on_drop = told.append
    kept = 0
    while writer.finish(0.2):  # until the pipe is full
        writer.write(LINE * 50)
        kept += 50
    began = time.monotonic()
    for _ in range(2000):
        writer.write(LINE)
    assert time.monotonic() - began < 5
    assert writer.dropped == sum(told) >= 1900
    kept += 2000 - writer.dropped
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read(kept * len(LINE)) == LINE * kept
    assert writer.finish(PATIENCE)
    os.close(writing)


def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    with closing(os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb")) as full:
        writer = LogWriter(full.fileno())
        writer.write(LINE * 3)
        assert writer.finish(PATIENCE)
    assert writer.dropped == 3


@pytest.mark.slow
def test_a_reader_that_stops_costs_no_answer_and_no_stop(home: Path, tmp_path: Path) -> None:
    """As in ``serve | less``: some hundred lines fill the pipe."""
    port = free_port()
    environment = os.environ | {"LABSERVER_HOME": str(own_home(home, tmp_path)), "LABSERVER_DRAIN_SECONDS": "0"}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command(port, 9), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as serving:
        assert serving.stdout

        def answers() -> bool:
            try:
                return requests.get(url + "/readyz", timeout=PATIENCE).status_code == 200
            except requests.ConnectionError:
                return False

        until(answers, "It does not start.")
        long = {"X-Request-ID": "x" * 64}
        with requests.Session() as session:
            statuses = {
                session.post(url + "/v1/predictions", json=FLIGHT, headers=long, timeout=PATIENCE).status_code
                for _ in range(2000)
            }
        assert statuses == {200}
        assert metrics(url)["log_lines_dropped_total"] == 0  # they wait: half a megabyte of the four
        serving.terminate()
        serving.wait(timeout=PATIENCE)
        assert serving.stdout.read(10)
