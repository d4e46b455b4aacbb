"""Real flights through the live service in time order, each served vector compared with the training one.

Replay plays the rest of the world. It moves the clock: whatever batches and streams would have published by then is
written to the service's online store. Then it asks, and when a flight lands it tells the outcome. It can also play an
upstream team that makes a mistake (``labserver.pipeline.incidents``).
"""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.ranges import clean
from labserver.features.store import connect
from labserver.model.signing import open_bundle
from labserver.moments import NEW_YORK
from labserver.pipeline.history import check_history
from labserver.pipeline.incidents import Incident
from labserver.pipeline.join import point_in_time
from labserver.pipeline.materialise import Feed, set_clock
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.running.client import CONNECTIONS, Client, check_same_home
from labserver.running.signs import alive, counting
from labserver.settings import Settings
from labserver.writing import check_database

PERIOD = """SELECT flight_id AS row, carrier, flight, origin, dest, tailnum, scheduled_departure, minute,
        weekday, predicted_at AS as_of, arrival_delay, coalesce(arrived_at, scheduled_arrival) AS known_at
    FROM flights WHERE day >= '{first}' AND day < '{last}' AND flight_id % {every} = 0"""


@dataclass
class ReplaySummary:
    """What came back. ``altered`` names the feature that an incident changed: it is left out of the comparison."""

    flights: int = 0
    compared: int = 0
    mismatches: int = 0
    altered: str | None = None
    first_mismatch: str = ""
    outcomes: int = 0
    warned: int = 0
    seconds: float = 0.0
    probabilities: list[float] = field(default_factory=list)

    def text(self) -> str:
        """For a person."""
        rate = self.flights / self.seconds if self.seconds else 0.0
        lines = [
            f"{self.flights:,} flights replayed in {self.seconds:.1f} s ({rate:,.0f} flights/s), "
            f"{self.outcomes:,} outcomes acknowledged, {self.warned:,} warnings.",
            f"Parity: {self.mismatches:,} of {self.compared:,} served vectors differ from the training vectors."
            if self.compared
            else "Parity was not looked at.",
        ]
        if self.altered:
            lines.append(f"{self.altered} was published wrongly on purpose, and is not part of that comparison.")
        if self.first_mismatch:
            lines.append(f"The first: {self.first_mismatch}")
        return "\n".join(lines)


def replay(
    settings: Settings,
    url: str,
    first: date,
    days: int,
    speed: float,
    outcomes: bool,
    console: Console,
    *,
    sample: float = 1.0,
    every: int = 1,
    incident: Incident | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> ReplaySummary:
    """Replay the flights scheduled on ``days`` days from ``first`` (New York's calendar).

    Args:
        settings: must name the same home as the service's: its online store is what the replay moves.
        url: the live service.
        first: the first day.
        days: how many.
        speed: simulated seconds per real second; 0 means as fast as possible.
        outcomes: whether to send outcomes once flights have landed.
        console: shows how far it has come.
        sample: share of the flights whose vector is compared with training's; each costs a request of its own.
        every: ask about every Nth flight only. The world goes on as before: all flights fly, and count.
        incident: what an upstream team publishes wrongly, from the first day on.
        catalogue: the features, as the service has them.

    Raises:
        LabError: if the days are outside 2013, the service does not answer or works on another home folder, or
            its online store cannot be written.
    """
    last = first + timedelta(days=days)
    if not date(2013, 1, 1) <= first < last <= date(2014, 1, 1):
        raise LabError(f"{first} to {last} is outside the data. Choose days from 2013-01-01 to 2013-12-31.")
    bundle = open_bundle(settings)
    catalogue = catalogue.with_trained(bundle.catalogue)
    client = Client.from_settings(settings, url)
    check_same_home(client, settings)
    check_database(settings.online_store(bundle.features_version))
    with (
        open_warehouse(settings.warehouse) as db,
        closing(connect(settings.online_store(bundle.features_version), catalogue)) as store,
    ):
        check_history(db, catalogue)
        with alive(console, "Reading the flights and their training vectors"):
            period = PERIOD.format(first=first, last=last, every=every)
            flights = _flights(db, period)
            if not flights:
                raise LabError(f"There are no flights from {first} to {last}.")
            trained = _training_vectors(db, period, catalogue, flights, sample)
            flights.sort(key=itemgetter("as_of", "row"))
            start = flights[0]["as_of"]
            set_clock(db, store, catalogue, start)
            feed = Feed(db, catalogue, start, flights[-1]["as_of"])
        if incident:
            feed.alter(incident.feature, incident.change)
        with counting(console, "Replaying", len(flights)) as tell:
            world = _World(client, store, feed, catalogue, outcomes, incident)
            for summary in world.run(flights, trained, speed):
                tell(summary.flights)
    return world.summary


class _World:
    """One pass through the period."""

    TELL = 200
    """Outcomes that are told together: one by one, each would wait for the disk alone."""

    def __init__(
        self,
        client: Client,
        store: sqlite3.Connection,
        feed: Feed,
        catalogue: Catalogue,
        outcomes: bool,
        incident: Incident | None,
    ) -> None:
        self._client, self._store, self._feed = client, store, feed
        self._names = catalogue.names
        self._same = np.array([incident is None or name != incident.feature for name in catalogue.names])
        self._send_outcomes = outcomes
        self._landing: list[tuple[datetime, str, float | None]] = []
        self._landed: list[dict[str, Any]] = []
        self.summary = ReplaySummary(altered=incident.feature if incident else None)

    def run(
        self, flights: list[dict[str, Any]], trained: dict[int, NDArray[np.float32]], speed: float
    ) -> Iterator[ReplaySummary]:
        """Ask for each flight at its prediction time; yields the summary after each moment."""
        started, begin = time.perf_counter(), flights[0]["as_of"]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for moment, group in groupby(flights, key=itemgetter("as_of")):
                if speed:
                    ahead = (moment - begin).total_seconds() / speed - (time.perf_counter() - started)
                    time.sleep(max(0.0, ahead))
                self._feed.publish(self._store, moment)
                due = list(group)
                questions = [_question(flight) for flight in due]
                compared = [(f, q) for f, q in zip(due, questions, strict=True) if f["row"] in trained]
                vectors = pool.map(lambda pair: self._client.post("/v1/features/vector", pair[1]), compared)
                for (flight, _), vector in zip(compared, vectors, strict=True):
                    self._compare(flight, vector, trained[flight["row"]])
                answers = self._client.post("/v1/predictions/batch", {"flights": questions})["predictions"]
                for flight, answer in zip(due, answers, strict=True):
                    self._note(flight, answer)
                self._tell(moment, pool, least=1 if speed else self.TELL)
                self.summary.seconds = time.perf_counter() - started
                yield self.summary
            self._tell(datetime.max.replace(tzinfo=NEW_YORK), pool, least=1)
        self.summary.seconds = time.perf_counter() - started

    def _compare(self, flight: dict[str, Any], vector: dict[str, Any], trained: NDArray[np.float32]) -> None:
        self.summary.compared += 1
        served = np.array([value["value"] for value in vector["values"]], np.float32)
        if served[self._same].tobytes() == trained[self._same].tobytes():
            return
        self.summary.mismatches += 1
        if not self.summary.first_mismatch:
            differing = [
                f"{name} served {s!r}, trained {t!r}"
                for name, s, t in zip(self._names, served.tolist(), trained.tolist(), strict=True)
                if s != t and name != self.summary.altered
            ]
            self.summary.first_mismatch = f"{flight['carrier']}{flight['flight']} {flight['as_of']}: {differing[:3]}"

    def _note(self, flight: dict[str, Any], answer: dict[str, Any]) -> None:
        self.summary.flights += 1
        self.summary.warned += answer["decision"] == "warn"
        self.summary.probabilities.append(answer["probability"])
        if self._send_outcomes:
            heapq.heappush(self._landing, (flight["known_at"], answer["id"], flight["arrival_delay"]))

    def _tell(self, moment: datetime, pool: ThreadPoolExecutor, least: int) -> None:
        """Tell the outcomes of the flights that have landed by ``moment``, once there are ``least``."""
        landed = self._landed
        while self._landing and self._landing[0][0] <= moment:
            _, prediction, delay = heapq.heappop(self._landing)
            landed.append({"id": prediction, "arrival_delay_minutes": delay})
        if len(landed) < least:
            return
        self._landed = []
        self.summary.outcomes += len(list(pool.map(lambda body: self._client.post("/v1/outcomes", body), landed)))


def _flights(db: duckdb.DuckDBPyConnection, period: str) -> list[dict[str, Any]]:
    result = db.execute(f"{period} ORDER BY flight_id")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _training_vectors(
    db: duckdb.DuckDBPyConnection, period: str, catalogue: Catalogue, flights: list[dict[str, Any]], sample: float
) -> dict[int, NDArray[np.float32]]:
    """Training's vectors of a share of the flights, spread evenly, by ``row``; ``flights`` are in that order."""
    if not sample:
        return {}
    matrix = clean(point_in_time(db, period, catalogue), catalogue)
    chosen = np.unique(np.linspace(0, len(flights) - 1, max(1, round(sample * len(flights)))).astype(int))
    return {flights[place]["row"]: matrix[place] for place in chosen.tolist()}


def _question(flight: dict[str, Any]) -> dict[str, Any]:
    return {
        "carrier": flight["carrier"],
        "flight": flight["flight"],
        "origin": flight["origin"],
        "dest": flight["dest"],
        "tailnum": flight["tailnum"],
        "scheduled_departure": flight["scheduled_departure"].isoformat(),
    }
