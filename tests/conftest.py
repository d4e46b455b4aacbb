"""One built folder for all tests. Nothing here writes into it; a test that changes a file copies it first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from labserver.build import build
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.join import FLIGHTS, point_in_time
from labserver.freshness import is_current
from labserver.model.bundle import Bundle, load_bundle
from labserver.settings import Settings
from labserver.sources.warehouse import open_warehouse
from labserver.stages import parts_of

hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def home() -> Path:
    """The folder of everything built: LABSERVER_HOME, else ``var`` of the repository, built if it is not current.

    With LABSERVER_PARTS, of the catalogue in there.
    """
    folder = Path(os.environ.get("LABSERVER_HOME") or Path(__file__).parent.parent / "var").resolve()
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    with (Path(tempfile.gettempdir()) / f"labserver-build-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other workers of pytest-xdist wait here
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
    """Where screenshots go: LABSERVER_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("LABSERVER_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
