"""Debian's Chromium on the dashboard of real services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from clock import MoveClock, clock_mover
from playwright.sync_api import Browser
from services import Running, own_home, running
from visits import Begin, visiting

from labserver.features.catalogue import Catalogue


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
def move_clock(warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> MoveClock:
    """See :func:`clock_mover`."""
    return clock_mover(warehouse, catalogue)
