"""The page with a screen reader, a keyboard and weak eyes, by Chromium's own accessibility tree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from awaiting import until
from chromium import LOW_CONTRAST
from playwright.sync_api import Browser, Page, expect
from services import FLIGHT, Running
from visits import LIVE, Begin, visiting

pytestmark = pytest.mark.ci

Node = dict[str, Any]
OPERATED = {"button", "link", "textbox", "DisclosureTriangle", "Date", "DateTime", "InputTime", "checkbox", "combobox"}
WIDTHS = (1280, 360)
TABLES = (
    *("Features", "Active parts", "Quality", "Recent predictions", "What the model saw"),
    "Probability of arriving late, share of predictions in %",
)


def tree(page: Page) -> list[Node]:
    """Every node that assistive technology is told of: role, name, description, properties."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return [
        {
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            "description": node.get("description", {}).get("value", ""),
            **{p["name"]: p["value"].get("value") for p in node.get("properties", [])},
        }
        for node in nodes
        if not node["ignored"]
    ]


def of_role(nodes: list[Node], *roles: str) -> list[Node]:
    return [node for node in nodes if node["role"] in roles]


@pytest.fixture(scope="module", params=WIDTHS)
def full(request: pytest.FixtureRequest, service: Running, browser: Browser) -> Iterator[Page]:
    """The page with something in every part of it: predictions, an answer, a refused value, alerts."""
    service.post("/v1/predictions/batch", {"flights": [FLIGHT, {**FLIGHT, "tailnum": None}] * 20})

    def seen() -> Any:  # the monitor looks a few times a second
        figures = service.get("/v1/monitor").json()
        return figures["recent"] and figures

    figures = until(seen, "The monitor shows no prediction.")
    figures["alerts"] = [
        {"name": "ModelBrier", "severity": "page", "feature": None, "since": None, "detail": "Too high."},
        {"name": "FeatureDrift", "severity": "ticket", "feature": "visibility", "since": None, "detail": "Too far."},
    ]
    with visiting(browser) as begin:
        started = begin(service.url, width=request.param, height=740)
        started.page.route("**/v1/monitor", lambda route: route.fulfill(json=figures))
        page = started.open()
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#answer-status")).to_contain_text("likely to arrive")
        page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
        yield page


def test_names_roles_and_order(full: Page) -> None:
    nodes = tree(full)
    assert [len(of_role(nodes, role)) for role in ("banner", "main", "contentinfo")] == [1, 1, 1]
    assert [node for node in of_role(nodes, *OPERATED, "region", "form", "table") if not node["name"]] == []
    levels = [node["level"] for node in of_role(nodes, "heading")]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after <= before + 1 for before, after in pairwise(levels))
    images = of_role(nodes, "image", "img")
    assert len(images) == 3
    assert all(node["name"] and node["description"] for node in images)
    html = full.locator("html")
    assert (html.get_attribute("lang"), full.title() != "") == ("en", True)


def test_tables_stay_tables_when_rows_become_cards(full: Page) -> None:
    nodes = tree(full)
    tables = [node["name"] for node in of_role(nodes, "table")]
    assert sorted(tables) == sorted(TABLES)
    assert len(of_role(nodes, "row")) > 17 * 2 + 10
    assert len(of_role(nodes, "rowheader")) > 17 * 2 + 10
    assert {node["name"] for node in of_role(nodes, "columnheader")} >= {
        "Feature",
        "Part",
        "Flight",
        "Measure",
        "State",
    }


def test_contrast_and_width(full: Page) -> None:
    """Seven to one, the stricter of the two levels: a projector takes much of it away."""
    assert full.evaluate(LOW_CONTRAST) == []
    assert full.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_state_is_told_by_words_and_shapes_too(full: Page) -> None:
    assert set(full.locator(".state").all_inner_texts()) <= {"quiet", "▲ watch", "■ alert"}
    assert full.locator("#alert-list strong").all_inner_texts() == ["■ Page", "▲ Ticket"]
    assert {"warn", "no warning"} >= set(full.locator("#recent-table tbody td:nth-child(5)").all_inner_texts())


def test_live_regions_do_not_chatter(service: Running, visit: Begin) -> None:
    """Figures change each second; what is read aloud changes when the state does."""
    page = visit(service.url).open()
    page.evaluate("""() => {
      window.spoken = [];
      const note = (changes) => window.spoken.push(...changes.map((change) => change.target.textContent));
      for (const region of document.querySelectorAll("[role=status], [role=alert], [aria-live]"))
        new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
    }""")
    for _ in range(3):
        before = page.locator("#total").text_content()
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
        page.wait_for_function("before => document.getElementById('total').textContent !== before", arg=before)
    assert page.evaluate("window.spoken") == []


def test_the_keyboard_reaches_the_form_and_sends_it(service: Running, visit: Begin) -> None:
    page = visit(service.url).open()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the figures")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if page.evaluate("document.activeElement.id") == "field-carrier":
            break
    else:
        pytest.fail("The keyboard does not reach the form.")
    page.keyboard.type("B6")
    for value in ("27", "EWR", "MCO", "N784JB"):
        page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    asked = {"carrier": "B6", "flight": 27, "origin": "EWR", "dest": "MCO", "tailnum": "N784JB"}
    flight = {**asked, "scheduled_departure": "2013-09-01T02:00:00-04:00"}
    chance = service.post("/v1/predictions", flight).json()["probability"]
    expect(page.locator("#answer-status")).to_contain_text(f"{chance * 100:.1f}")


def test_nothing_moves_for_those_who_ask_for_less_motion(service: Running, visit: Begin) -> None:
    started = visit(service.url)
    started.page.emulate_media(reduced_motion="reduce")
    page = started.open(LIVE)
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert page.evaluate("document.getAnimations().length") == 0
    moving = """() => [...document.querySelectorAll("*")].filter((node) => {
      const style = getComputedStyle(node);
      return style.transitionDuration !== "0s" || style.animationName !== "none";
    }).length"""
    assert page.evaluate(moving) == 0
