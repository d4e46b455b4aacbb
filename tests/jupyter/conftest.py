"""JupyterLab in Debian's Chromium."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import chromium
from playwright.sync_api import Browser, Page

APPLICATION = {"LabApp": {"expose_app_in_browser": True}}
"""Makes ``window.jupyterapp`` of JupyterLab, so that a test can run its commands."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that is closed before what it shows ends: it would miss it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: LABSERVER_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("LABSERVER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def configure(folder: Path) -> None:
    """Settings for tests alone, beside the defaults that the course ships."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter_lab_config.json").write_text(json.dumps(APPLICATION))
