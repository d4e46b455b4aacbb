"""JupyterLab in Debian's Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import patient
from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that is closed before what it shows ends: it would miss it."""
    context = patient(browser.new_context(viewport={"width": 1440, "height": 900}))
    yield context.new_page()
    context.close()
