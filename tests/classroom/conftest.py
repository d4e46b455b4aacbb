"""A board and a learner's folder for each test; Debian's Chromium where a test looks at the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import Board, board
from chromium import chromium
from playwright.sync_api import Browser


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
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def full() -> bool:
    return os.environ.get("FAULTS") == "full"
