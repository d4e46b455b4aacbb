"""A small home folder for a check: the real build on a few weeks of real flights, in a few seconds.

The libraries of training are imported inside: most wrong answers are found before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from threadpoolctl import threadpool_limits

from labserver.features.catalogue import Catalogue
from labserver.pipeline.sources.contracts import SOURCES
from labserver.pipeline.sources.warehouse import prepare
from labserver.settings import Settings

if TYPE_CHECKING:
    from labserver.pipeline.build import Built
    from labserver.pipeline.fit import Trainer

DAYS_SQL = (
    """day BETWEEN DATE '2013-07-25' AND DATE '2013-09-07' OR day BETWEEN DATE '2013-12-09' AND DATE '2013-12-11'"""
)
"""Days of flights: five weeks to train on, then a week of summer and three days of winter that training never sees."""


def small_home(settings: Settings, folder: Path) -> Settings:
    """Settings of a new home folder, whose warehouse has all sources, and of the flights those of :data:`DAYS_SQL`."""
    folder.mkdir()
    small = settings.model_copy(update={"home": folder})
    with duckdb.connect(str(small.warehouse)) as db:
        prepare(db)
        db.execute(f"ATTACH '{settings.warehouse.resolve()}' AS whole (READ_ONLY)")
        for source in SOURCES:
            kept = f" WHERE {DAYS_SQL} ORDER BY flight_id" if source.name == "flights" else ""
            db.execute(f"CREATE TABLE {source.name} AS SELECT * FROM whole.{source.name}{kept}")
    return small


def build_small(small: Settings, catalogue: Catalogue, trainer: Trainer | None = None) -> Built:
    """The bundle of a :func:`small_home`, with the course's model or a different one. Baselines are not compared.

    Raises:
        LabError: see :func:`labserver.pipeline.build.build`.
    """
    from labserver.pipeline.build import Steps, build_bundle
    from labserver.pipeline.fit import train_model

    step = Steps(lambda line: print(line, flush=True))
    with threadpool_limits(1):  # on a busy machine threads wait for each other far longer than they work
        return build_bundle(small, catalogue, step, trainer or train_model, gate=False)
