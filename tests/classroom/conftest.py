"""A board and a learner's folder for each test; Debian's Chromium where a test looks at the page."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import Board, board
from needed import needed
from playwright.sync_api import Browser, sync_playwright

sys.path.append(str(Path(__file__).parent.parent / "browser"))


@pytest.fixture(scope="module")
def running_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with board(tmp_path_factory.mktemp("class") / "class.db") as started:
        yield started


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = needed("chromium", "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: LABSERVER_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("LABSERVER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def full() -> bool:
    return os.environ.get("FAULTS") == "full"
