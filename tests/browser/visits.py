"""A page of the service in a browser, and everything that went wrong on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chromium import patient
from playwright.sync_api import Browser, Page, Request
from services import FLIGHT

ASKED = {**FLIGHT, "dest": "IAH", "tailnum": "N57869", "scheduled_departure": "2013-09-01T02:00:00-04:00"}
"""The form's first values on a new service: its departure is two hours after the clock."""

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


@contextmanager
def visiting(browser: Browser) -> Iterator[Begin]:
    """Makes visits; each must end without an error on the console and without a request to another host."""
    visits: list[Visit] = []

    def begin(url: str, width: int = 1280, height: int = 800, tolerated: str = Visit.tolerated) -> Visit:
        # A stranger's zone and language: the page speaks of New York's time wherever it is read.
        context = browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="Asia/Tokyo", locale="de-DE"
        )
        visits.append(Visit(patient(context).new_page(), url, tolerated))
        return visits[-1]

    yield begin
    for made in visits:
        made.page.context.close()
    assert [error for made in visits for error in made.errors] == []


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()


def rows(page: Page, table: str) -> list[list[str]]:
    """The text of each cell of a table's body."""
    script = "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    read: list[list[str]] = page.locator(f"#{table} tbody tr").evaluate_all(script)
    return read
