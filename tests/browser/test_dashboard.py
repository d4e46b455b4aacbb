"""The dashboard in a real browser, over real services."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from proxy import proxied
from services import Running, own_home, running
from visits import ASKED, LIVE, Begin, predict, rows

from labserver.stages.contents import CHANGES, active

pytestmark = pytest.mark.ci

Serve = Callable[..., Running]


def test_the_page_is_quiet_and_names_the_service(service: Running, visit: Begin, pictures: Path) -> None:
    started = visit(service.url)
    page = started.open()
    model = service.get("/v1/model").json()
    expect(page).to_have_title(re.compile("Flight delays"))
    expect(page.locator("#stage")).to_contain_text(
        "Stage 9 of 9: the finished service. All parts are the shipped ones."
    )
    expect(page.locator("#model")).to_have_text(model["model_version"])
    expect(page.locator("#bundle")).to_have_text(model["bundle_hash"][:12])
    heldout = [row[2] for row in rows(page, "quality-table")]
    assert heldout == [f"{model['metrics']['model'][name]:.4f}" for name in ("auc", "brier", "calibration_error")]
    assert {"page/dashboard.js", "page/vendor/uPlot.iife.min.js", "v1/monitor"} <= {
        url.removeprefix(f"{service.url}/") for url in started.requests
    }
    page.screenshot(path=pictures / "empty-1280.png", full_page=True)


def test_features_show_what_is_possible_and_what_training_saw(service: Running, visit: Begin) -> None:
    page = visit(service.url).open()
    catalogue = [feature for group in service.get("/v1/features").json()["groups"] for feature in group["features"]]
    shown = rows(page, "features-table")
    assert [row[0] for row in shown] == [f"{feature['name']} {feature['unit']}" for feature in catalogue]
    row = next(row for row in shown if row[0] == "wind_speed mph")
    assert row[1:3] == ["weather", "0 to 150"]
    assert row[3].startswith("0 to 42.5")
    expect(page.locator("#features-table .strip")).to_have_count(len(catalogue))


def test_a_flight_is_answered_and_the_answer_explained(service: Running, visit: Begin, pictures: Path) -> None:
    page = visit(service.url).open()
    predict(page)
    answer = service.post("/v1/predictions", ASKED).json()
    expect(page.locator("#answer-status")).to_contain_text(f"{answer['probability']:.1%}".replace("%", "\xa0%"))
    expect(page.locator("#answer-status")).to_contain_text("No warning")
    vector = service.post("/v1/features/vector", ASKED).json()["values"]
    shown = rows(page, "inputs-table")
    assert [row[0] for row in shown] == [value["name"] for value in vector]
    assert [row[3] for row in shown] == [value["origin"] for value in vector]
    by_name = {row[0]: row for row in shown}
    assert by_name["distance"][1:3] == ["1,400", "mi"]
    assert [row for row in shown if "stale" in row[4]] == []
    expect(page.locator("#answer-stale")).to_be_empty()
    page.locator("#question").screenshot(path=pictures / "answered-1280.png")


REFUSED = (
    ("To", "zzz", "ZZZ is not served from EWR. Allowed: ALB, "),
    ("Flight", "12a", "an integer from 1 to 9999"),
    ("Scheduled departure", "2013-08-01T12:00", "sets it back. Allowed: after 2013-09-01T04:00:00+00:00 (the clock)"),
    ("Scheduled departure", "2026-11-29T12:00", "is outside the schedule: the service lives in 2013"),
    ("visibility", "99", "99 mi cannot be. Allowed: 0 to 10 mi."),
    ("visibility", "fog", "finite numbers"),
)


def test_a_refused_value_is_explained_at_its_field(service: Running, visit: Begin, pictures: Path) -> None:
    page = visit(service.url).open()
    for label, value, told in REFUSED:
        field = page.get_by_label(label, exact=True)
        before = field.input_value()
        page.locator("#overrides").evaluate("details => { details.open = true; }")
        field.fill(value)
        page.locator("#overrides").evaluate("details => { details.open = false; }")  # a refused override opens it
        predict(page)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        expect(field).to_be_visible()
        described = (field.get_attribute("aria-describedby") or "").split()
        messages = [page.locator(f'[id="{name}"]').text_content() or "" for name in described]
        assert any(told in message for message in messages), messages
        expect(page.locator("[aria-invalid]")).to_have_count(1)
        expect(page.locator("#answer-status")).to_have_text("No answer.")
        if value == "zzz":
            page.locator("#question").screenshot(path=pictures / "refused-1280.png")
        field.fill(before)
        predict(page)
        expect(page.locator("[aria-invalid]")).to_have_count(0)
        expect(page.locator("#answer-status")).to_contain_text("likely to arrive")


def test_the_page_follows_a_replay(serve: Serve, visit: Begin, pictures: Path) -> None:
    service = serve()
    page, phone = visit(service.url).open(), visit(service.url, width=360, height=740).open()
    clocks, totals = set[str | None](), set[str | None]()
    # A day in six seconds.
    command = [sys.executable, "-m", "labserver.cli", "replay", "--from", "2013-12-08", "--speed", "14400"]
    replay = subprocess.Popen(
        [*command, "--url", service.url],
        env=os.environ | {"LABSERVER_HOME": str(service.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while replay.poll() is None:
        clocks.add(page.locator("#clock").text_content())
        totals.add(page.locator("#prediction-count").text_content())
        if len(totals) == 3 and not (pictures / "replay-360.png").exists():
            page.screenshot(path=pictures / "replay-1280.png", full_page=True)
            phone.screenshot(path=pictures / "replay-360.png", full_page=True)
        page.wait_for_timeout(200)
    assert replay.returncode == 0
    assert len(totals) >= 4, totals
    assert len(clocks) >= 2, clocks
    total = service.get("/v1/monitor").json()["predictions"]["total"]
    assert total > 800
    expect(page.locator("#prediction-count")).to_contain_text(f"{total:,} in all")
    expect(page.locator("#recent-table tbody tr")).to_have_count(20)
    assert sum(float(row[1].split()[0]) for row in rows(page, "distribution-table")) == pytest.approx(100, abs=1)
    assert "not measured" not in (page.locator("#rate-summary").text_content() or "")
    assert all(row[5] != "–" for row in rows(page, "features-table"))
    page.screenshot(path=pictures / "after-replay-1280.png", full_page=True)
    departure = page.get_by_label("Scheduled departure", exact=True)
    expect(departure).to_have_value(service.get("/v1/monitor").json()["next_departure"][:16])
    predict(page)
    expect(page.locator("#answer-status")).to_contain_text("likely to arrive")
    expect(page.locator("#answer-stale")).to_be_empty()
    page.locator("#recent-table button").first.hover()  # from here on the table stays as it is
    again = rows(page, "recent-table")[0]
    with page.expect_response("**/v1/predictions") as asked:
        page.locator("#recent-table button").first.click()
    assert asked.value.status == 200
    assert (sent := asked.value.request.post_data_json)
    assert again[0].startswith(f"{sent['carrier']}{sent['flight']} {sent['origin']}-{sent['dest']}")
    expect(page.get_by_label("Carrier", exact=True)).to_be_focused()


def test_a_teaching_stage_shows_whose_parts_are_in_force(serve: Serve, visit: Begin, tmp_path: Path) -> None:
    mine = tmp_path / "lesson_03.py"
    mine.write_text(
        "from labserver import finished\n\n\ndef completion(context):\n    return finished.completion(context)\n"
    )
    service = serve(8, LABSERVER_PARTS=str(mine))
    page = visit(service.url).open()
    expect(page.locator("#stage")).to_contain_text("Stage 8 of 9: a teaching stage, unfinished on purpose. 1 of ")
    shown = {row[0]: row for row in rows(page, "parts-table")}
    assert shown.keys() == active(8).keys()
    assert {part for part, row in shown.items() if "yours" in row[2]} == {"completion"}
    latest = {c.part: c for c in CHANGES if c.lesson <= 8 and c.part in active(8) and c.part != "completion"}
    assert {part: row[1] for part, row in shown.items() if part in latest} == {
        part: str(change.lesson) for part, change in latest.items()
    }
    expect(page.locator("#no-recent")).to_contain_text("monitoring comes with lesson 9")
    predict(page)
    expect(page.locator("#answer-status")).to_contain_text("likely to arrive")


SHIPPED = """
import os, runpy, sys
os.environ["LABSERVER_PORT"] = sys.argv.pop()
sys.argv.pop()
runpy.run_module("labserver.server", run_name="__main__")
"""


def test_what_ships_alone_shows_nothing_of_the_course(home: Path, visit: Begin, tmp_path: Path) -> None:
    """The process of the finished service, as an image starts it."""
    with running(own_home(home, tmp_path / "home"), program=[sys.executable, "-c", SHIPPED]) as service:
        page = visit(service.url).open()
        expect(page.locator("#features-table")).to_be_visible()
        expect(page.locator("#parts")).to_be_hidden()
        expect(page.locator("#exercises")).to_be_hidden()
        page.close()


def test_with_a_key(serve: Serve, visit: Begin) -> None:
    service = serve(LABSERVER_API_KEY="sesame")
    page = visit(service.url).open("#key")
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    expect(page.locator("#question")).to_be_hidden()
    field.fill("open")
    field.press("Enter")
    expect(page.locator("#key-error")).to_contain_text("does not take this key")
    field.fill("sesame")
    field.press("Enter")
    page.wait_for_selector(LIVE)
    expect(page.locator("#key")).to_be_hidden()
    predict(page)
    expect(page.locator("#answer-status")).to_contain_text("likely to arrive")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.url == f"{service.url}/"
    page.reload()
    expect(field).to_be_focused()
    expect(field).to_have_value("")


def test_under_a_prefix(service: Running, visit: Begin) -> None:
    with proxied(service.url, "/user/ada/proxy/8000/") as url:
        started = visit(url)
        page = started.open()
        predict(page)
        expect(page.locator("#answer-status")).to_contain_text("likely to arrive")
        links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
        assert all(address.startswith(url) for address in [*started.requests, *links])
        page.context.close()  # before the proxy goes: the page would miss it


def test_a_service_that_goes_away_is_missed_and_found_again(service: Running, visit: Begin, pictures: Path) -> None:
    page = visit(service.url, tolerated="net::ERR_").open()
    page.route("**/v1/**", lambda route: route.abort())
    expect(page.locator("#connection")).to_contain_text(re.compile(r"Not reachable since \d\d:\d\d:\d\d\. Next try in"))
    expect(page.locator("#announcer")).to_have_text("The service is not reachable.")
    predict(page)
    expect(page.locator("#form-error")).to_contain_text("The service does not answer")
    page.screenshot(path=pictures / "away-1280.png")
    page.unroute("**/v1/**")
    page.wait_for_selector(LIVE)
    expect(page.locator("#announcer")).to_have_text("The service answers again.")


# Counted where it happens: the events of a busy browser reach the test late.
COUNT_IN_THE_PAGE = """() => {
  const real = window.fetch;
  window.asked = 0;
  window.fetch = (...all) => { window.asked += 1; return real(...all); };
}"""


def test_polling_can_be_paused_and_rests_while_hidden(service: Running, visit: Begin) -> None:
    started = visit(service.url)
    page = started.open()

    def asked_in(milliseconds: int) -> int:
        before: int = page.evaluate("window.asked")
        page.wait_for_timeout(milliseconds)
        return int(page.evaluate("window.asked")) - before

    page.evaluate(COUNT_IN_THE_PAGE)
    page.wait_for_function("() => window.asked > 0")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    assert asked_in(1_500) == 0
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector(LIVE)
    page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
    page.wait_for_function("before => window.asked > before", arg=page.evaluate("window.asked"))  # it was due already
    assert asked_in(2_000) == 0
    with page.expect_request("**/v1/monitor"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_text_from_the_service_stays_text(service: Running, visit: Begin, pictures: Path) -> None:
    """Nobody can write into these fields today; tomorrow's part may let them."""
    hostile = "<img src=x onerror=document.title='owned'>"
    figures = service.get("/v1/monitor").json()
    figures["parts"][0]["why"] = hostile
    figures["alerts"] = [
        {"name": "FeatureDrift", "severity": "ticket", "feature": "visibility", "since": None, "detail": hostile},
        {"name": "ModelBrier", "severity": "page", "feature": None, "since": "2026-01-01T10:00:00Z", "detail": "Off."},
    ]
    started = visit(service.url)
    started.page.route("**/v1/monitor", lambda route: route.fulfill(json=figures))
    page = started.open()
    expect(page.get_by_text(hostile)).to_have_count(2)
    expect(page.locator("img")).to_have_count(0)
    expect(page.locator("#alert-list li")).to_have_count(2)
    expect(page.locator("#alert-list li").first).to_contain_text("Page ModelBrier Off.")
    expect(page.locator("#announcer")).to_have_text("New alert: FeatureDrift: visibility, ModelBrier.")
    page.screenshot(path=pictures / "alerts-1280.png")


def test_the_page_shows_how_far_the_learner_is(serve: Serve, visit: Begin) -> None:
    service = serve()
    page = visit(service.url).open()
    expect(page.locator("#exercises")).to_be_hidden()
    shown = [
        {"lesson": 3, "title": "A & <b>title</b>", "state": "solved", "whose": "yours"},
        {"lesson": 4, "title": "Another", "state": "not yet", "whose": "uses the course's solution"},
        {"lesson": 5, "title": "A third", "state": "not judged", "whose": "uses the course's solution"},
        {"lesson": 6, "title": "A fourth", "state": "not attempted", "whose": "not attempted"},
    ]
    (service.home / "progress.json").write_text(json.dumps(shown))
    items = page.locator("#exercise-list li")
    expect(items).to_have_text(
        [
            "✔ 3 A & <b>title</b>: solved, yours",
            "✘ 4 Another: not yet, uses the course's solution",
            "? 5 A third: not judged, uses the course's solution",
            "· 6 A fourth: not attempted",
        ]
    )
    (service.home / "progress.json").write_text("not what it should be")
    expect(page.locator("#exercises")).to_be_hidden()
