"""Debian's Chromium on the dashboard of real services."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from needed import needed
from playwright.sync_api import Browser, Page, Request, sync_playwright
from running import Running, own_home, running

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
LIVE = '#connection[data-state="live"]'


@dataclass
class Visit:
    """A page, and everything that went wrong on it."""

    page: Page
    url: str
    tolerated: str = "server responded with a status of 4"
    """Chromium notes every answer of 4xx on the console, and a refused form is one."""
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, wait_for: str = LIVE) -> Page:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(self.url)
        self.page.wait_for_selector(wait_for)
        return self.page

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"} and self.tolerated not in message.text:
            self.errors.append(message.text)

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.errors.append(f"a request beyond the page's own origin: {request.url}")


Begin = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the session: Playwright keeps an event loop running in this thread, where later tests want their own."""
    chromium = needed("chromium", "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield started
        started.close()


@contextmanager
def visiting(browser: Browser) -> Iterator[Begin]:
    """Makes visits; each must end without an error on the console and without a request to another host."""
    visits: list[Visit] = []

    def begin(url: str, width: int = 1280, height: int = 800, **options: str) -> Visit:
        # A stranger's zone and language: the page speaks of New York's time wherever it is read.
        context = browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="Asia/Tokyo", locale="de-DE"
        )
        context.set_default_timeout(15_000)
        visits.append(Visit(context.new_page(), url, **options))
        return visits[-1]

    yield begin
    for made in visits:
        made.page.context.close()
    assert [error for made in visits for error in made.errors] == []


@pytest.fixture
def serve(home: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts services of a test's own."""
    with ExitStack() as stack:

        def start(lesson: int = 9, **environment: str) -> Running:
            return stack.enter_context(running(own_home(home, tmp_path / "home"), lesson, environment))

        yield start


@pytest.fixture
def visit(browser: Browser, serve: Callable[..., Running]) -> Iterator[Begin]:
    """See :func:`visiting`. Over before the services of ``serve`` are: a page would miss them."""
    with visiting(browser) as begin:
        yield begin


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("home"))) as started:
        yield started


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: LABSERVER_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("LABSERVER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
