"""A small home folder for a check: the real build, over some weeks of real flights, in a second or two."""

from __future__ import annotations

from pathlib import Path

import duckdb
from threadpoolctl import threadpool_limits

from labserver.build import Built, Steps, Trainer, build_bundle, train_model
from labserver.features.catalogue import Catalogue
from labserver.settings import Settings
from labserver.sources.contracts import SOURCES
from labserver.sources.warehouse import ZONE

SPAN = """day BETWEEN DATE '2013-07-25' AND DATE '2013-09-07' OR day BETWEEN DATE '2013-12-09' AND DATE '2013-12-11'"""
"""Days of flights: five weeks to train on, then a week of summer and three days of winter that training never sees."""


def small_home(settings: Settings, folder: Path) -> Settings:
    """Settings of a new home folder, whose warehouse has all sources, and of the flights those of :data:`SPAN`."""
    folder.mkdir()
    small = settings.model_copy(update={"home": folder})
    with duckdb.connect(str(small.warehouse)) as db:
        db.execute(f"SET TimeZone = '{ZONE}'")
        db.execute(f"ATTACH '{settings.warehouse.resolve()}' AS whole (READ_ONLY)")
        for source in SOURCES:
            kept = f" WHERE {SPAN} ORDER BY flight_id" if source.name == "flights" else ""
            db.execute(f"CREATE TABLE {source.name} AS SELECT * FROM whole.{source.name}{kept}")
    return small


def build_small(small: Settings, catalogue: Catalogue, trainer: Trainer = train_model) -> Built:
    """The bundle of a :func:`small_home`. On so few flights no baseline can stop it.

    Raises:
        LabError: see :func:`labserver.build.build`.
    """
    with threadpool_limits(1):  # on a busy machine threads wait for each other far longer than they work
        return build_bundle(small, catalogue, Steps(lambda line: print(line, flush=True)), trainer, gate=False)
