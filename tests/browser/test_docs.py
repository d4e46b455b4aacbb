"""/docs in a browser: every call answers unedited, wherever the clock is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from clock import MoveClock
from playwright.sync_api import Page, expect
from services import Running
from visits import Begin

pytestmark = pytest.mark.ci

OPERATIONS = {
    "POST /v1/predictions": "Predict one flight",
    "POST /v1/predictions/batch": "Predict a batch",
    "POST /v1/features/vector": "Show what the model would see",
    "POST /v1/outcomes": "Record an outcome",
    "GET /v1/features": "List the features",
    "GET /v1/model": "Describe the model",
    "GET /healthz": "Check that the process answers",
    "GET /readyz": "Check that the service is ready",
    "GET /metrics": "Read the metrics for Prometheus",
    "GET /v1/monitor": "Watch the service and the model",
}


def executed(page: Page) -> dict[str, tuple[int, str]]:
    """Status and body of every operation, by method and path: Try it out, Execute, nothing typed."""
    answers = {}
    for block in page.locator(".opblock").all():
        method, path = (block.locator(f".opblock-summary-{part}").inner_text() for part in ("method", "path"))
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
        with page.expect_response(lambda response: "/static/" not in response.url) as asked:
            block.get_by_role("button", name="Execute").click()
        expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text(
            str(asked.value.status)
        )
        answers[f"{method} {path.replace(chr(0x200B), '')}"] = (asked.value.status, asked.value.text())
    return answers


@pytest.mark.parametrize(
    "clock",
    [None, "2013-10-01T00:00:00-04:00", "2013-12-30T17:45:30-05:00"],
    ids=["after a build", "after a replay", "at the end of the weather"],
)
def test_every_call_answers_without_an_edit(
    serve: Callable[..., Running], visit: Begin, move_clock: MoveClock, pictures: Path, clock: str | None
) -> None:
    service = serve()
    if clock:
        move_clock(service, clock)
    page = visit(f"{service.url}/docs", tolerated="nothing").open(".opblock")
    answers = executed(page)
    page.screenshot(path=pictures / "docs.png", full_page=True)
    assert {call: status for call, (status, _) in answers.items()} == {
        call: 202 if call == "POST /v1/outcomes" else 200 for call in OPERATIONS
    }
    one = json.loads(answers["POST /v1/predictions"][1])
    batch = json.loads(answers["POST /v1/predictions/batch"][1])["predictions"]
    assert [answer["stale"] for answer in (one, *batch)] == [[]] * (1 + len(batch))


def test_the_last_departures_of_the_year_are_asked_about_and_after_them_it_is_said_what_to_do(
    service: Running, move_clock: MoveClock
) -> None:
    for clock, status in (("2013-12-31T22:30:00-05:00", 200), ("2013-12-31T23:59:00-05:00", 422)):
        move_clock(service, clock)
        schemas = service.get("/openapi.json").json()["components"]["schemas"]
        answer = service.post("/v1/predictions", schemas["PredictionRequest"]["examples"][0])
        assert (clock, answer.status_code) == (clock, status)
    assert "`labserver clock 2013-09-01` sets it back" in answer.json()["detail"]


def test_calls_are_named_for_people(service: Running, visit: Begin) -> None:
    page = visit(f"{service.url}/docs").open(".opblock")
    expect(page.locator(".info")).to_contain_text(
        "how likely is a flight from New York to arrive more than 15 minutes late"
    )
    shown = page.locator(".opblock-summary-description").all_inner_texts()
    assert sorted(shown) == sorted(OPERATIONS.values())
