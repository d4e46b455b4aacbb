"""The instructor's page in a real browser, with a class in it."""

from __future__ import annotations

import random
import re
import secrets
from pathlib import Path
from typing import Any, Literal

import pytest
from boards import Board, board
from chromium import LOW_CONTRAST, patient
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.ci

HARD = 3
WRONG = (
    *("The feature's hours are New York's (hour-in-utc)", "A number is a number at every call (wrong-dtype)"),
    "What training saw is what serving gives (training-serving-skew)",
)


def a_class(own: Board, learners: int) -> None:
    """Most have solved the first lessons; lesson 3 is hard."""
    chance = random.Random(7)
    for number in range(learners):
        token = secrets.token_hex(16)
        assert own.join(token, "Maximiliane-Alexandra v. d. L." if number == 4 else None).status_code == 201
        posts: list[dict[str, Any]] = []
        for lesson in range(min(9, 2 + number % 5) if number else 0):
            attempts = chance.randint(5, 9) if lesson == HARD else chance.randint(1, 4)
            for attempt in range(1, attempts + 1):
                over = attempt == attempts and lesson != HARD and (lesson < 2 or chance.random() < 0.8)
                failing = "" if over else chance.choices(WRONG, (5, 2, 1))[0]
                post = {"id": secrets.token_hex(16), "lesson": lesson, "attempts": attempt, "failing": failing}
                posts.append(post | {"state": "solved" if over else "not yet"})
        posts.append({"id": secrets.token_hex(16), "lesson": 9, "attempts": 0, "state": "not attempted"})
        assert own.post(token, *posts).status_code == 200


def opened(browser: Browser, url: str, errors: list[str], **options: Any) -> Page:
    page = patient(browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)).new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: errors.append(request.url) if strays(request.url, url) else None)
    page.goto(url)
    return page


def strays(asked: str, url: str) -> bool:
    """True if a request leaves the board, or contains its key."""
    return not asked.startswith((url.split("/#")[0], "blob:")) or "key=" in asked


def test_a_class_of_thirty(tmp_path: Path, browser: Browser, pictures: Path) -> None:
    errors: list[str] = []
    with board(tmp_path / "class.db") as own:
        a_class(own, 30)
        page = opened(browser, f"{own.url}/#key={own.key}", errors)
        expect(page.locator("#connection")).to_have_text("Live")
        assert own.key not in page.url  # the page is projected
        expect(page.locator("#learners tbody tr")).to_have_count(30)
        expect(page.locator("#command")).to_have_text(f"lab join {own.code} --board {own.url}")
        expect(page.locator("#lessons-note")).to_have_text(f"▲ stuck: lesson {HARD}")
        stuck = page.locator("#lessons tr.is-stuck")
        expect(stuck).to_have_count(1)
        expect(stuck.locator("td").last).to_contain_text("hour-in-utc")
        expect(stuck.locator(".since")).to_have_text(re.compile(r"^\d min$"))
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=pictures / f"classroom-{scheme}.png", full_page=True)
            assert page.evaluate(LOW_CONTRAST) == []
        tree = page.locator("#learners").aria_snapshot()
        assert 'rowheader "Maximiliane-Alexandra v. d. L."' in tree
        assert 'columnheader "3"' in tree
        assert "stuck, " in tree
        page.reload()
        expect(page.locator("#learners tbody tr")).to_have_count(30)  # the tab keeps the key
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        assert download.value.path().read_text() == own.get("/results.csv").text.replace("\r\n", "\n")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.context.close()
    assert errors == []


def test_it_follows_the_class_and_takes_names_for_text(tmp_path: Path, browser: Browser) -> None:
    errors: list[str] = []
    with board(tmp_path / "class.db") as own:
        page = opened(browser, own.url, errors)
        page.get_by_role("textbox", name="Key").fill("wrong")
        page.get_by_role("button", name="Open the board").click()
        expect(page.get_by_role("alert")).to_have_text("This key is not the board's.")
        errors.clear()  # Chromium notes the 401
        page.get_by_role("textbox", name="Key").fill(own.key)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Nobody has joined yet.")).to_be_visible()
        token, evil = secrets.token_hex(16), "<img src=x onerror=alert(1)>"
        own.join(token, "Ada")
        post = {"id": secrets.token_hex(16), "lesson": 2, "attempts": 1, "state": "not yet", "failing": evil}
        own.post(token, post)
        expect(page.locator("#lessons td").last).to_have_text(f"{evil} · 1 learner")
        expect(page.locator("#learners td.here")).to_have_text("○ 1not yet, 1 check, is here now")
        own.post(token, post | {"id": secrets.token_hex(16), "attempts": 2, "state": "solved", "failing": ""})
        expect(page.locator("#learners td.solved")).to_contain_text("✔ 2")
        assert page.locator("#results img").count() == 0
        assert errors == []
        own.process.kill()
        own.process.wait()
        expect(page.locator("#connection")).to_contain_text("does not answer")
        expect(page.locator("#learners tbody tr")).to_have_count(1)  # the last results stay
        page.context.close()
