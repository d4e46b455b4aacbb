"""The form and its answer: asked as of a moment with fresh values, and what-ifs beside what is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clock import MoveClock
from playwright.sync_api import Page, Route, expect
from services import Running
from visits import ASKED, Begin, predict, rows

pytestmark = pytest.mark.ci

Serve = Callable[..., Running]
SNOW = ("precipitation", "visibility", "humidity", "wind_speed")
NOTE_ANNOUNCEMENTS = """() => {
  window.spoken = [];
  const status = document.getElementById("answer-status");
  const note = () => window.spoken.push(status.textContent);
  new MutationObserver(note).observe(status, { childList: true, subtree: true });
}"""


def departure(page: Page) -> str:
    return page.get_by_label("Scheduled departure", exact=True).input_value()


@pytest.mark.parametrize("lesson", [3, 9])
def test_the_departure_follows_the_clock_from_the_first_at_every_stage(serve: Serve, visit: Begin, lesson: int) -> None:
    service = serve(lesson)
    page = visit(service.url).open()
    expect(page.locator("#clock")).to_have_text("1 Sept 2013, 00:00")
    assert departure(page) == "2013-09-01T02:00"
    with page.expect_response("**/v1/predictions") as asked:
        predict(page)
    assert (asked.value.status, asked.value.json()["stale"]) == (200, [])
    expect(page.locator("#answer-facts")).to_contain_text("Stalenothing")


def test_after_thirty_days_the_form_answers_with_fresh_values(
    serve: Serve, visit: Begin, move_clock: MoveClock
) -> None:
    service = serve()
    page = visit(service.url).open()
    with page.expect_response("**/v1/predictions"):
        predict(page)  # the button keeps the focus, and the departure goes on all the same
    move_clock(service, "2013-10-01T00:00:00-04:00")
    expect(page.locator("#clock")).to_have_text("1 Oct 2013, 00:00")
    assert departure(page) == "2013-10-01T02:00"
    with page.expect_response("**/v1/predictions") as asked:
        predict(page)
    assert (asked.value.status, asked.value.json()["stale"]) == (200, [])
    expect(page.locator("#answer-facts")).to_contain_text("1 Oct 2013, 00:00")


def test_a_departure_that_was_typed_stays(serve: Serve, visit: Begin, move_clock: MoveClock) -> None:
    service = serve()
    page = visit(service.url).open()
    page.get_by_label("Scheduled departure", exact=True).fill("2013-12-24T18:00")
    page.get_by_label("Carrier", exact=True).focus()
    move_clock(service, "2013-10-01T00:00:00-04:00")
    expect(page.locator("#clock")).to_have_text("1 Oct 2013, 00:00")
    assert departure(page) == "2013-12-24T18:00"


def test_why_values_are_stale_is_said_in_words(
    serve: Serve, visit: Begin, move_clock: MoveClock, pictures: Path
) -> None:
    service = serve()
    page = visit(service.url).open()
    page.get_by_label("Scheduled departure", exact=True).fill("2013-09-01T17:30")
    predict(page)
    expect(page.locator("#answer-stale")).to_have_text(
        "10 values are older than they should be: the store is complete up to 1 Sept, 00:00 (the clock), "
        "and the question is as of 1 Sept, 15:30."
    )
    assert len([row for row in rows(page, "inputs-table") if "stale" in row[4]]) == 10
    page.locator("#question").screenshot(path=pictures / "stale-1280.png")
    move_clock(service, "2013-11-02T23:30:00-04:00")  # the weather's source is silent for some hours
    page.get_by_label("Scheduled departure", exact=True).fill("2013-11-03T00:30")
    predict(page)
    expect(page.locator("#answer-stale")).to_have_text(
        "5 values are older than they should be: the question is as of the clock (2 Nov, 23:30), "
        "and nothing newer has reached the store."
    )


@pytest.mark.parametrize("width", [360, 1280])
def test_what_if_it_snows(service: Running, visit: Begin, pictures: Path, width: int) -> None:
    page = visit(service.url, width=width, height=740).open()
    page.evaluate(NOTE_ANNOUNCEMENTS)
    page.get_by_role("button", name="What if it snows?").click()
    cards = page.locator("#answer-status .card")
    expect(cards).to_have_count(2)
    overrides = {name: float(page.get_by_label(name, exact=True).input_value()) for name in SNOW}
    snow = service.post("/v1/predictions", {**ASKED, "overrides": overrides}).json()
    clear = service.post("/v1/predictions", ASKED).json()
    assert (clear["decision"], snow["decision"]) == ("no_warning", "warn")
    percent = [f"{answer['probability'] * 100:.1f}\xa0%" for answer in (clear, snow)]
    expect(cards.nth(0)).to_have_text(f"As it is{percent[0]}No warning.")
    expect(cards.nth(1)).to_have_text(f"With your values{percent[1]}Warn the passengers.")
    points = (snow["probability"] - clear["probability"]) * 100
    expect(page.locator("#answer-status")).to_contain_text(
        f"Your values raise the probability by {points:.1f} points. The decision changes."
    )
    assert len(page.evaluate("window.spoken")) == 1
    expect(page.locator("#answer-status")).to_be_in_viewport()
    left, right = cards.evaluate_all("cards => cards.map((card) => card.getBoundingClientRect().toJSON())")
    assert left["top"] == right["top"]
    assert left["right"] < right["left"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert {row[0] for row in rows(page, "inputs-table") if row[3] == "override"} == set(overrides)
    page.locator("#question").screenshot(path=pictures / f"snow-{width}.png")
    page.get_by_role("button", name="Clear what-ifs").click()
    expect(page.locator("#answer-status")).to_contain_text(f"{percent[0]} likely to arrive")
    expect(cards).to_have_count(0)
    assert len(page.evaluate("window.spoken")) == 2


def test_a_what_if_that_was_typed_is_compared_too(service: Running, visit: Begin) -> None:
    page = visit(service.url).open()
    page.locator("#overrides").evaluate("details => { details.open = true; }")
    page.get_by_label("visibility", exact=True).fill("10")
    predict(page)
    expect(page.locator("#answer-status .card")).to_have_count(2)
    expect(page.locator("#answer-status")).to_contain_text("The decision stays the same.")


def test_the_last_question_counts_while_an_answer_is_awaited(service: Running, visit: Begin) -> None:
    page = visit(service.url).open()
    held: list[Route] = []
    page.route("**/v1/predictions", lambda route: held.append(route), times=1)
    with page.expect_request("**/v1/predictions"):
        predict(page)
    page.get_by_role("button", name="What if it snows?").click()
    expect(page.locator("#answer-status .card")).to_have_count(2)
    with page.expect_response("**/v1/features/vector"):
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.locator("#answer-status .card")).to_have_count(2)


def test_an_idle_service_looks_idle_and_requests_are_counted(serve: Serve, visit: Begin, pictures: Path) -> None:
    service = serve()
    page = visit(service.url).open()
    for _ in range(3):  # the page asks for its own figures all the while
        with page.expect_response("**/v1/monitor"):
            pass
    assert service.get("/healthz").status_code == service.get("/metrics").status_code == 200
    figures = ("per-second", "in-flight", "p50", "p99", "total")
    assert [page.locator(f"#{name}").text_content() for name in figures] == ["0", "0", "–", "–", "0"]
    expect(page.locator("#traffic .title")).to_contain_text("Predictions, batches, vectors and outcomes.")
    page.locator("#traffic").screenshot(path=pictures / "idle-1280.png")
    for _ in range(5):
        assert service.post("/v1/predictions", ASKED).status_code == 200
    expect(page.locator("#total")).to_have_text("5")
    expect(page.locator("#per-second")).to_have_text("0.50")
    predict(page)  # the prediction, and the vector behind it
    expect(page.locator("#total")).to_have_text("7")
