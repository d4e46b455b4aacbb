"""The site and the slides in a real browser, from a folder, with every way to a network shut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from chromium import patient
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

pytestmark = pytest.mark.ci

Open = Callable[..., Page]
Scheme = Literal["light", "dark"]
LESSON = "02_source_your_data.html"
# For each slide: what is higher or wider than its frame and does not scroll, and code that is too small for a room.
CUT = """() => Reveal.getSlides().flatMap((slide, number) => {
  Reveal.slide(number);
  const frame = slide.querySelector(".fit");
  const scrolls = (node) => /auto|scroll/.test(getComputedStyle(node).overflowY);
  const faults = [];
  if (frame.clientHeight > 720 || frame.clientHeight < 600) faults.push(`frame of ${frame.clientHeight}`);
  if (frame.scrollHeight > frame.clientHeight && !scrolls(frame)) faults.push("cut off below");
  if (frame.scrollWidth > frame.clientWidth) faults.push("wider than the slide");
  for (const node of slide.querySelectorAll("pre, code, pre span"))
    if (node.checkVisibility() && parseFloat(getComputedStyle(node).fontSize) < 18)
      faults.push(`small: ${node.textContent.slice(0, 20)}`);
  for (const image of slide.querySelectorAll("img"))
    if (!image.naturalWidth || image.clientWidth < 500) faults.push("a picture that nobody can read");
  return faults.map((fault) => `${number}: ${fault}`);
})"""

LONG = """() => {
  const long = Reveal.getSlides().findIndex((slide) => slide.querySelector(".fit pre"));
  const frame = Reveal.getSlides()[long].querySelector(".fit"), code = frame.querySelector("pre");
  for (let copies = 0; copies < 40; copies++) frame.append(code.cloneNode(true));
  Reveal.slide(long);
}"""
NOTES = """() => Reveal.getSlides().map((slide) => slide.querySelector("aside.notes")?.textContent ?? "")"""


@pytest.fixture
def visit(browser: Browser, site: Path) -> Iterator[Open]:
    """Opens pages of the site. Each must load without an error and ask for nothing outside of its folder."""
    contexts, wrong = [], []

    def noted(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(message.text)

    def opened(page: str, width: int = 1280, height: int = 720, scheme: Scheme = "light") -> Page:
        context = patient(browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme))
        contexts.append(context)

        def passed(route: Route) -> None:
            url = route.request.url
            inside = url.startswith(("data:", site.as_uri()))
            if not inside:
                wrong.append(f"{page} asks for {url}")
            route.continue_() if inside else route.abort()

        context.route("**/*", passed)
        made = context.new_page()
        made.on("console", noted)
        made.on("pageerror", lambda error: wrong.append(str(error)))
        made.goto((site / page).as_uri())
        return made

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_the_first_page_leads_to_the_lessons(visit: Open, pictures: Path) -> None:
    page = visit("index.html")
    expect(page.locator("table.lessons tbody tr")).to_have_count(10)
    assert page.locator("figure img").evaluate("image => image.naturalWidth") > 500
    page.screenshot(path=pictures / "site-index.png", full_page=True)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the text")).to_be_focused()
    page.get_by_role("link", name="Source your data").click()
    page.get_by_role("link", name="3. Validate").first.click()
    page.get_by_role("link", name="All lessons").first.click()
    page.wait_for_url("**/index.html")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_a_lesson_is_read_anywhere(visit: Open, pictures: Path, width: int, scheme: Scheme) -> None:
    page = visit(f"notebooks/{LESSON}", width, 900, scheme)
    images = page.locator("main img")
    assert images.count() >= 2
    assert images.evaluate_all("all => all.every((image) => image.complete && image.naturalWidth > 500)")
    assert not overflows(page), "code and tables scroll by themselves"
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 24, 28)"
    assert dark == (scheme == "dark")
    images.first.scroll_into_view_if_needed()
    page.screenshot(path=pictures / f"site-lesson-{width}-{scheme}.png")


@pytest.mark.parametrize("page", ["index.html", "README.html", "reference/http.html", "reference/settings.html"])
def test_other_pages_fit_a_telephone(visit: Open, page: str) -> None:
    assert not overflows(visit(page, 390, 844))


def test_the_reference_is_searched_without_a_network(visit: Open) -> None:
    page = visit("reference/labserver.html")
    page.get_by_role("searchbox").fill("Predictor")
    page.locator("main.pdoc h2 a, main.pdoc .search-result a").first.wait_for()
    expect(page.locator("main.pdoc")).to_contain_text("redictor")


def test_slides_move_and_hide_nothing(visit: Open, pictures: Path) -> None:
    page = visit(f"slides/{LESSON}")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    expect(page.locator("section.present h1")).to_have_text("Lesson 2: Source your data")
    page.keyboard.press("ArrowRight")
    expect(page.locator("section.present h2")).to_have_text("The trap")
    assert page.evaluate(CUT) == []
    page.evaluate("Reveal.slide(Reveal.getSlides().findIndex((slide) => slide.querySelector('.result img, img')))")
    page.screenshot(path=pictures / "slide-picture.png")
    page.evaluate(LONG)
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('section.present .fit').scrollTop > 0")


def test_the_presenter_sees_notes_without_a_server(visit: Open, site: Path) -> None:
    page = visit(f"slides/{LESSON}")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.frame_locator("iframe").first.get_by_role("heading", name="Lesson 2: Source your data").wait_for()
    if "Instructors" in (site / "index.html").read_text():
        speaker.locator(".speaker-controls-notes .value:not(:empty)").wait_for()
        assert all(not notes for notes in page.evaluate(NOTES)[1:])
