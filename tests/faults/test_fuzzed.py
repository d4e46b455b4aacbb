"""Requests made from the OpenAPI document by schemathesis, valid and invalid."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from asking import by_status, metrics, ready, shown, wait_for
from services import own_home, running
from table import Note

# The schema cannot say that a code must be in the schedule: a request that it allows may rightly be refused.
CONFIG = Path(__file__).with_name("schemathesis.toml")
UNFIT = "positive_data_acceptance"


def test_no_request_that_the_schema_suggests_breaks_the_service(
    home: Path, tmp_path: Path, full: bool, note: Note
) -> None:
    report = tmp_path / "report.json"
    with running(own_home(home, tmp_path)) as service:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", "--no-color"]
        options: dict[str, object] = {"-n": 400 if full else 8, "--exclude-checks": UNFIT, "--report": "json"}
        options["--report-json-path"] = report
        done = subprocess.run(
            [*command, *(str(word) for option in options.items() for word in option), service.url + "/openapi.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=1_200,
            check=False,
        )
        assert ready(service.url)
        statuses = by_status(service.url)
        wait_for(lambda: metrics(service.url)["http_requests_in_flight"] == 1)  # the one that asks
    cases = json.loads(report.read_text())["test_cases"]
    errors = sum(number for status, number in statuses.items() if int(status) >= 500 and status != 503)
    broken = errors + cases["with_failures"] + cases["errored"]
    note("schemathesis over the OpenAPI document", cases["generated"], broken, shown(statuses))
    assert done.returncode == 0, done.stdout[-6000:]
    assert cases["generated"] >= (2000 if full else 200)
    assert broken == 0
