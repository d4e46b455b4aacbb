"""One built folder for all tests. Nothing here writes into it; a test that changes a file copies it first."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import hypothesis
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import Bundle, load_bundle
from labserver.pipeline.build import build
from labserver.pipeline.freshness import is_current
from labserver.pipeline.join import FLIGHTS, point_in_time
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.settings import Settings
from labserver.stages.own import parts_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("untimed")

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # of a suite in the background: all that it starts would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

STARTING = {"browser", "classroom", "faults", "jupyter", "set_up"}
"""Folders in which every test starts processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``slow`` are the tests of these folders, and those that need a tool beyond PyPI; others are marked one by one."""
    for item in items:
        if item.path.parent.name in STARTING or item.get_closest_marker("ci"):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def home() -> Path:
    """The folder of everything built: LABSERVER_HOME, else ``var`` of the repository, built if it is not current.

    With LABSERVER_PARTS, of the catalogue in there.
    """
    folder = Path(os.environ.get("LABSERVER_HOME") or Path(__file__).parent.parent / "var").resolve()
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    with FileLock(Path(tempfile.gettempdir()) / f"labserver-build-{name}.lock"):  # other workers of pytest-xdist wait
        chosen = Settings(home=folder)
        catalogue = parts_of(chosen).catalogue(chosen)
        if not is_current(chosen, catalogue):
            build(chosen, catalogue, print)
    return folder


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="session")
def warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, read-only. DuckDB refuses a new query while a result is unread: always fetchall."""
    with open_warehouse(settings.warehouse) as db:
        yield db


@pytest.fixture(scope="session")
def bundle(settings: Settings) -> Bundle:
    return load_bundle(settings.bundle)


@pytest.fixture(scope="session")
def catalogue(bundle: Bundle) -> Catalogue:
    """The catalogue that knows what training saw."""
    return CATALOGUE.with_trained(bundle.catalogue)


@pytest.fixture(scope="session")
def joined(warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> NDArray[np.float32]:
    """Every flight's features as joined, row ``flight_id - 1``; read-only, so that no test changes another's."""
    matrix = point_in_time(warehouse, FLIGHTS, catalogue)
    matrix.flags.writeable = False
    return matrix


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder for screenshots: LABSERVER_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("LABSERVER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Not for the session: Playwright keeps an event loop running in this thread; later tests want one."""
    from chromium import chromium  # here: most runs look at no page, and need no Playwright

    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether to try in full numbers, as ``make faults`` does."""
    return os.environ.get("FAULTS") == "full"
