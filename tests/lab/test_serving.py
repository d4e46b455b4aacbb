"""``lab serve`` says where it is and how to replay into it; ``lab url`` and ``lab ask`` find the running service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Running, own_home, running

from exercises.lab.asking import sentence
from labserver.running.process import free_port

pytestmark = pytest.mark.slow

LAB = [sys.executable, "-m", "exercises.lab"]


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``lab serve`` of a learner who has solved nothing yet."""
    folder, work = own_home(home, tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("work")
    with running(folder, environment={"LAB_WORK": str(work)}, program=[*LAB, "serve"]) as started:
        yield started


def lab(service: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LABSERVER_HOME": str(service.home), "LABSERVER_URL": service.url}
    command = [*LAB, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_replay_that_it_prints_works_as_it_is_pasted(service: Running, tmp_path: Path) -> None:
    said = service.log.read_text()
    assert f"  Page    {service.url}/\n" in said
    [command] = re.findall(r"^  Replay  (.+)$", said, re.MULTILINE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABSERVER_")}
    pasted = ["bash", "-c", f"{command} --every 40"]
    done = subprocess.run(pasted, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "Parity: 0 of" in done.stderr


def test_its_address_can_be_used_in_a_command(service: Running) -> None:
    done = lab(service, "url")
    assert (done.returncode, done.stdout) == (0, f"{service.url}\n")


def test_a_question_is_answered_and_what_is_printed_for_curl_gives_the_same(service: Running) -> None:
    done = lab(service, "ask")
    assert done.returncode == 0, done.stderr
    curl, answer, words = done.stdout.rstrip("\n").split("\n\n")
    body = json.loads(curl.partition("-d '")[2].removesuffix("'"))
    assert json.loads(lab(service, "ask", "--question").stdout) == body
    again = service.post("/v1/predictions", body).json()
    received = json.loads(answer)
    assert received["stale"] == []
    assert again | {"id": ""} == received | {"id": ""}
    assert words == sentence(received)
    assert curl.startswith(f"curl -s {service.url}/v1/predictions -H 'Content-Type: application/json' -d '")


def test_where_no_service_runs_nothing_is_printed_that_curl_could_take(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | {"LABSERVER_HOME": str(tmp_path), "LABSERVER_URL": url}
    for command in ("url", "ask"):
        done = subprocess.run([*LAB, command], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"error: No service answers at {url}. Start one with `lab start` or `labserver serve`.\n"


def test_an_answer_in_words() -> None:
    fresh = {"probability": 0.125, "decision": "no_warning", "stale": []}
    assert sentence(fresh) == (
        "12.5% likely to arrive more than 15 minutes late: no warning. Every value behind it is fresh."
    )
    late = {"probability": 0.5, "decision": "warn", "stale": ["temperature", "humidity"]}
    assert "warn the passengers. 2 values behind it are older" in sentence(late)
