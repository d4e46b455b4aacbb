"""Requests made from the OpenAPI document by schemathesis, valid and invalid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from asking import by_status, metrics, ready, shown, wait_for
from services import own_home, running
from table import Note

CONFIG = Path(__file__).with_name("schemathesis.toml")
POSITIVE = "positive_data_acceptance"


def schemathesis(url: str, folder: Path, config: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """What schemathesis printed, empty if nothing failed, and the numbers of its test cases."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", "--no-color"]
    done = subprocess.run(
        [*command, "--report", "json", "--report-json-path", str(report), *options, url + "/openapi.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    return done.stdout[-6000:] if done.returncode else "", json.loads(report.read_text())["test_cases"]


def test_no_request_that_the_schema_suggests_breaks_the_service(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    with running(own_home(home, tmp_path)) as service:
        # The schema cannot say that a code must be in the schedule: a request that it allows may rightly be refused.
        printed, cases = schemathesis(
            service.url, tmp_path, CONFIG, "-n", "400" if full else "8", "--exclude-checks", POSITIVE
        )
        assert ready(service.url)
        statuses = by_status(service.url)
        wait_for(lambda: metrics(service.url)["http_requests_in_flight"] == 1)  # the one that asks
    errors = sum(number for status, number in statuses.items() if int(status) >= 500 and status != 503)
    broken = errors + cases["with_failures"] + cases["errored"]
    note("schemathesis over the OpenAPI document", cases["generated"], broken, shown(statuses))
    assert not printed
    assert cases["generated"] >= (2000 if full else 200)
    assert broken == 0


def test_what_the_schema_allows_is_accepted_where_the_codes_are_in_the_schedule(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    known = tmp_path / "known.toml"
    known.write_text(CONFIG.read_text().replace("probability = 0.9", "probability = 1.0"))
    # The other phases make codes of their own, such as an airport AAA.
    options = ("--mode", "positive", "--phases", "fuzzing", "--checks", POSITIVE)
    with running(own_home(home, tmp_path)) as service:
        printed, cases = schemathesis(service.url, tmp_path, known, *options, "-n", "400" if full else "40")
        statuses = by_status(service.url)
    refused = cases["with_failures"] + cases["errored"]
    note("valid requests by schemathesis, codes in the schedule", cases["generated"], refused, shown(statuses))
    assert not printed
    assert cases["generated"] >= (1600 if full else 160)
    assert refused == 0
