"""What tests share: one built home, made once however many workers run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
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

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def home() -> Path:
    """A built folder. Tests copy what they change."""
    chosen = Settings(home=Path(os.environ.get("LABSERVER_HOME", ROOT / "var")))
    chosen.home.mkdir(parents=True, exist_ok=True)
    with (chosen.home / "test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(chosen):
            build(chosen, CATALOGUE, print)
    return chosen.home.absolute()


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="session")
def warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(settings.warehouse) as db:
        yield db


@pytest.fixture(scope="session")
def bundle(settings: Settings) -> Bundle:
    return load_bundle(settings.bundle)


@pytest.fixture(scope="session")
def catalogue(bundle: Bundle) -> Catalogue:
    """The catalogue with what training saw."""
    return CATALOGUE.with_trained(bundle.catalogue)


@pytest.fixture(scope="session")
def joined(warehouse: duckdb.DuckDBPyConnection) -> NDArray[np.float32]:
    """The features of all flights as they were known, before ranges and completion."""
    return point_in_time(warehouse, FLIGHTS, CATALOGUE)
