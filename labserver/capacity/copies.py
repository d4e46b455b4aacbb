"""Growth of the build: times each step on the year once and on several copies of it.

Each copy has its own flight numbers and planes, so that keys stay unique and a plane's history keeps its length.
Airports, routes, weather and the number of days stay the same, as they do when an airline's traffic grows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import duckdb
import numpy as np
import psutil

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import clean
from labserver.model.reference import what_training_saw
from labserver.pipeline.history import write_history
from labserver.pipeline.join import FLIGHTS, point_in_time
from labserver.pipeline.sources.contracts import SOURCES
from labserver.pipeline.sources.schemas import SCHEMAS
from labserver.pipeline.sources.warehouse import check_contracts, load_sources, raw_files
from labserver.pipeline.training import TRAINED_UNTIL, new_model

COPIED = ("flights", "planes")
COPIED_SCHEMAS = {  # numbers and planes that no airline has
    **SCHEMAS,
    "flights": SCHEMAS["flights"].update_columns({"flight": {"checks": []}, "tailnum": {"checks": []}}),
    "planes": SCHEMAS["planes"].update_columns({"tailnum": {"checks": []}}),
}
MIB_PER_COPY = 350  # measured: ten copies peaked at 2,950 MiB, where the sources are checked


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of wall-clock time, and of processor time over all threads."""

    wall: float
    cpu: float


def growth(copies: int, catalogue: Catalogue, report: Callable[[str], None]) -> str:
    """Time the build's steps on one and on ``copies`` copies of the year; a Markdown table.

    Raises:
        LabError: if a contract fails, or the machine's memory is too small.
    """
    needed, there = copies * MIB_PER_COPY, psutil.virtual_memory().available // 2**20
    if there < needed:
        raise LabError(f"{copies} copies need about {needed:,} MiB of memory; {there:,} are free. Try fewer copies.")
    first, second, often = (_timed(number, catalogue, report) for number in (1, 1, copies))
    once = {step: _less(first[step], second[step]) for step in first}  # the first run reads cold files
    lines = [
        f"| step | 1 copy, s | {copies} copies, s | ratio | 1 copy, CPU s | {copies} copies, CPU s | ratio |",
        "|---|---|---|---|---|---|---|",
        *(_row(step, once[step], often[step]) for step in once),
        _row("all", _sum(once), _sum(often)),
        f"\nA ratio of {copies} is as fast as the data grow. Where others use the cores, trust the processor time.",
    ]
    return "\n".join(lines)


def _row(step: str, before: Spent, after: Spent) -> str:
    return (
        f"| {step} | {before.wall:.2f} | {after.wall:.2f} | {after.wall / before.wall:.1f} "
        f"| {before.cpu:.2f} | {after.cpu:.2f} | {after.cpu / before.cpu:.1f} |"
    )


def _less(one: Spent, other: Spent) -> Spent:
    return Spent(min(one.wall, other.wall), min(one.cpu, other.cpu))


def _sum(steps: Mapping[str, Spent]) -> Spent:
    return Spent(sum(spent.wall for spent in steps.values()), sum(spent.cpu for spent in steps.values()))


def _timed(copies: int, catalogue: Catalogue, report: Callable[[str], None]) -> dict[str, Spent]:
    spent: dict[str, Spent] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        spent[name] = Spent(time.perf_counter() - wall, time.process_time() - cpu)
        report(f"copies: {copies}, {name}: {spent[name].wall:.1f} s")

    with tempfile.TemporaryDirectory() as folder:
        raw = copied(Path(folder), copies)
        with duckdb.connect(str(Path(folder) / "warehouse.duckdb")) as db:
            with step("sources"):
                load_sources(db, raw, COPIED_SCHEMAS)
                check_contracts(db, [replace(s, rows=s.rows * copies) if s.name in COPIED else s for s in SOURCES])
            with step("history"):
                write_history(db, catalogue)
            with step("point-in-time join"):
                matrix = point_in_time(db, FLIGHTS, catalogue)
            labels = db.execute(
                "SELECT late, scheduled_departure < $cut AS train FROM flights ORDER BY flight_id",
                {"cut": TRAINED_UNTIL},
            ).df()
    with step("ranges and training"):
        train = labels["train"].to_numpy(bool)
        trained = catalogue.trained_on(what_training_saw(matrix[train], catalogue))
        matrix = clean(matrix, trained)
        rows = train & labels["late"].notna().to_numpy()
        new_model().fit(matrix[rows], labels["late"].to_numpy()[rows].astype(np.bool_))
    return spent


def copied(folder: Path, copies: int) -> Mapping[str, str]:
    """The raw files, flights and planes several times over; written to ``folder``."""
    raw = raw_files(folder)
    if copies == 1:
        return raw
    more = dict(raw)
    for name, changed in (
        ("flights", "flight + 10000 * copy AS flight, tailnum || suffix AS tailnum"),
        ("planes", "tailnum || suffix AS tailnum"),
    ):
        query = f"""
            WITH numbered AS (
                SELECT range AS copy, CASE WHEN range > 0 THEN '-' || range ELSE '' END AS suffix
                FROM range({copies:d})
            )
            SELECT * EXCLUDE (copy, suffix) REPLACE ({changed})
            FROM read_csv($path, nullstr = ['', 'NA']) CROSS JOIN numbered
            """
        more[name] = str(folder / f"{name}-{copies}.csv")
        found = duckdb.sql(query, params={"path": raw[name]})
        cast("duckdb.DuckDBPyRelation", found).write_csv(more[name])  # None comes of what is no SELECT
    return more
