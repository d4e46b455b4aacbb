"""The detection matrix: how long each fault goes unnoticed, what it does to decisions, and what rings without one.

The service's own detector sees the flights of 2013 hour by hour, four weeks as they were and then with the fault. A
finding counts if the real year does not have it in the same hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from labserver.capacity.faults import FAULTS, Fault, Flights
from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE
from labserver.features.ranges import clean
from labserver.finished import drift
from labserver.model.bundle import Bundle
from labserver.model.predictor import OnnxPredictor
from labserver.model.reference import MONTH, Reference
from labserver.model.signing import open_bundle
from labserver.moments import HOUR, NEW_YORK, from_microseconds, microseconds
from labserver.monitor.drift import Finding
from labserver.monitor.impact import Impact
from labserver.monitor.served import AnswerCounter, Served
from labserver.monitor.tally import DAY_HOURS, RecentHours, Tally
from labserver.parts import Context
from labserver.pipeline.join import FLIGHTS, point_in_time, stale
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.service.decision import ExpectedCost
from labserver.service.selection import by_name
from labserver.settings import Settings

STARTS = tuple(
    datetime(2013, month, day, hour, tzinfo=NEW_YORK)
    for month, day, hour in ((3, 4, 10), (5, 15, 0), (7, 10, 15), (10, 16, 6))
)
"""When each fault begins: four seasons and times of the day, one in the months that set no threshold."""
WATCHED_DAYS = MONTH
"""Days for which a fault is watched."""
CLOSELY_HOURS = 72
"""Hours from the beginning in which every hour is judged; after them every sixth."""
WEEK_HOURS = 7 * DAY_HOURS
QUIET_FROM = datetime(2013, 2, 1, tzinfo=NEW_YORK)

Report = Callable[[str], None]
Key = tuple[str, str | None]
"""Name and feature of a finding."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The first of a kind: hours after the fault began, alert, and feature."""

    hours: int
    name: str
    feature: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault that began at one moment.

    Attributes:
        began: when.
        first: the first finding, page or ticket; None if there was none in four weeks.
        page: the first page.
        changed: share of the first week's decisions that the fault changed.
        cost: what they cost more in a thousand flights, in units of a false alarm.
    """

    began: str
    first: Alarm | None
    page: Alarm | None
    changed: float
    cost: float


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert without a fault: the day on which it began, and how urgent it was at most."""

    day: str
    name: str
    feature: str | None
    severity: str
    detail: str


@dataclass(frozen=True)
class Matrix:
    """Trials by fault, and what rang in the year without one."""

    trials: Mapping[str, Sequence[Trial]]
    year: Sequence[Episode]


@dataclass(frozen=True)
class World:
    """The flights of 2013 in the order of their prediction times, and a service that watches them."""

    catalogue: Catalogue
    bundle: Bundle
    settings: Settings
    flights: Flights
    asked: NDArray[np.int64]
    late: NDArray[np.bool_]
    arrived: NDArray[np.bool_]

    @classmethod
    def read(cls, settings: Settings) -> World:
        """From a home folder that was built.

        Raises:
            LabError: if it was not.
        """
        bundle = open_bundle(settings)
        catalogue = CATALOGUE.with_trained(bundle.catalogue)
        with open_warehouse(settings.warehouse) as db:
            raw, old = point_in_time(db, FLIGHTS, catalogue), stale(db, FLIGHTS, catalogue)
            table = db.execute(
                """SELECT epoch_us(predicted_at) AS asked, origin::VARCHAR AS origin, coalesce(late, false) AS late,
                late IS NOT NULL AS arrived FROM flights ORDER BY flight_id"""
            ).fetchnumpy()
        order = np.argsort(np.asarray(table["asked"]), kind="stable")
        asked, origin, late, arrived = (
            np.asarray(table[name])[order] for name in ("asked", "origin", "late", "arrived")
        )
        flights = Flights(catalogue.names, raw[order], old[order], origin.astype(str), np.zeros(len(order)))
        return cls(catalogue, bundle, settings, flights, asked, late.astype(bool), arrived.astype(bool))

    def between(self, first: int, last: int) -> NDArray[np.intp]:
        """The flights that are asked about from one hour to before another."""
        return np.arange(np.searchsorted(self.asked, first * HOUR), np.searchsorted(self.asked, last * HOUR))


class Watcher:
    """The service's detector, its counts and its model, beside each other as in the monitor."""

    def __init__(self, world: World) -> None:
        catalogue, statistics = world.catalogue, world.bundle.reference
        self._catalogue = catalogue
        self.reference = Reference.read(statistics, catalogue.names)
        self.model = by_name(OnnxPredictor(world.bundle.model), catalogue)
        self.decision = ExpectedCost.from_settings(world.settings)
        self.places = sorted(set(world.flights.origin.tolist()))
        self._counter = AnswerCounter(catalogue, self.reference, self.places)
        self._detector = drift(Context(world.settings, world.bundle, catalogue))

    def counted(self, flights: Flights, asked: NDArray[np.int64]) -> tuple[dict[int, Tally], Served]:
        """Tallies by hour, and the answers that they are of."""
        used = clean(flights.raw, self._catalogue)
        scores = self.model.probabilities(used)
        origins = [str(code) for code in flights.origin]
        served = Served((), asked, flights.raw, used, scores, 0, places=origins, stale=flights.stale)
        return dict(self._counter.count(served).hours), served

    def watch(
        self, hours: Mapping[int, Tally], served: Served, judged: Sequence[int]
    ) -> Iterator[tuple[int, list[Finding]]]:
        """What is found at the end of each of the hours ``judged`` in which there were predictions."""
        recent, last = RecentHours(self.reference, len(self.places)), max(judged)
        impact = Impact(self._catalogue, self.reference, self.model, self.decision)
        wanted, hour_of = set(judged), served.asked // HOUR
        for hour in range(min(hours), last + 1):
            recent.move(hour)
            if hour in hours:
                recent.add(hour, hours[hour])
                if hour in wanted:
                    now = int(np.searchsorted(hour_of, hour, side="right"))
                    impact.replace(served.used[max(0, now - impact.KEPT) : now])
                    findings = self._detector.judge(recent.today(), recent.days()).findings
                    yield hour, impact.graded(findings)


def detect(settings: Settings, names: Sequence[str], report: Report) -> Matrix:
    """Run the faults of these names, or all.

    Raises:
        LabError: if there is no such fault, or nothing was built.
    """
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in names if name not in known]:
        raise LabError(f"There is no fault {unknown[0]}. There are: {', '.join(known)}.")
    world = World.read(settings)
    watcher = Watcher(world)
    report("the real year, hour by hour")
    year = dict(_year(world, watcher))
    trials = {}
    for fault in [known[name] for name in names] or FAULTS:
        trials[fault.name] = [_trial(world, watcher, fault, start, year) for start in STARTS]
        report(fault.meaning)
    return Matrix(trials, _episodes(year))


def _year(world: World, watcher: Watcher) -> Iterator[tuple[int, list[Finding]]]:
    hours, served = watcher.counted(world.flights, world.asked)
    first = microseconds(QUIET_FROM) // HOUR
    return watcher.watch(hours, served, range(first, max(hours) + 1))


def _trial(world: World, watcher: Watcher, fault: Fault, start: datetime, year: Mapping[int, list[Finding]]) -> Trial:
    begun = microseconds(start) // HOUR
    rows = world.between(begun - (MONTH + 1) * DAY_HOURS, begun + WATCHED_DAYS * DAY_HOURS)
    flights, asked = world.flights, world.asked[rows]
    hit = asked >= microseconds(start)
    altered = Flights(
        flights.names,
        flights.raw[rows[hit]].copy(),
        flights.stale[rows[hit]].copy(),
        flights.origin[rows[hit]],
        (asked[hit] - microseconds(start)) / HOUR,
    )
    fault.alter(altered)
    whole = Flights(flights.names, flights.raw[rows], flights.stale[rows], flights.origin[rows], np.zeros(len(rows)))
    whole.raw[hit], whole.stale[hit] = altered.raw, altered.stale
    hours, served = watcher.counted(whole, asked)
    close = range(begun, begun + CLOSELY_HOURS)
    judged = [*close, *range(begun + CLOSELY_HOURS, begun + WATCHED_DAYS * DAY_HOURS, 6)]
    first, page = _first(watcher.watch(hours, served, judged), begun, year)
    week = hit & (asked < (begun + WEEK_HOURS) * HOUR)
    changed, cost = _damage(world, watcher, rows[week], served.scores[week])
    return Trial(f"{start:%Y-%m-%d %H:%M}", first, page, changed, cost)


def _first(
    watched: Iterator[tuple[int, list[Finding]]], begun: int, year: Mapping[int, list[Finding]]
) -> tuple[Alarm | None, Alarm | None]:
    """The first finding and the first page that the real year does not have; a page ends the look."""
    first: Alarm | None = None
    for hour, findings in watched:
        real = {(finding.name, finding.feature): finding.severity for finding in year.get(hour, ())}
        for finding in sorted(findings, key=lambda finding: finding.severity):
            alarm = Alarm(hour - begun, finding.name, finding.feature)
            before = real.get((finding.name, finding.feature))
            if finding.severity == "page" and before != "page":
                return first or alarm, alarm
            if before is None:
                first = first or alarm
    return first, None


def _damage(world: World, watcher: Watcher, rows: NDArray[np.intp], scores: NDArray[np.float32]) -> tuple[float, float]:
    """Share of decisions that differ from those without the fault, and what they cost more in a thousand flights."""
    usual = watcher.model.probabilities(clean(world.flights.raw[rows], world.catalogue))
    threshold, policy = watcher.decision.threshold, watcher.decision
    late, arrived = world.late[rows], world.arrived[rows]

    def cost(warned: NDArray[np.bool_]) -> float:
        missed, false = (~warned & late & arrived).sum(), (warned & ~late & arrived).sum()
        return float(policy.missed_delay * missed + policy.false_alarm * false) / max(1, int(arrived.sum()))

    now, before = scores > threshold, usual > threshold
    return float(np.mean(now != before)), 1000 * (cost(now) - cost(before))


def _episodes(year: Mapping[int, list[Finding]]) -> list[Episode]:
    """Alerts of the real year, each from its beginning to a day without it."""
    begun: dict[Key, Episode] = {}
    latest: dict[Key, int] = {}
    episodes: list[Episode] = []
    for hour, findings in sorted(year.items()):
        for finding in findings:
            key = finding.name, finding.feature
            day = f"{from_microseconds(hour * HOUR).astimezone(NEW_YORK):%Y-%m-%d}"
            if hour - latest.get(key, -DAY_HOURS - 1) > DAY_HOURS:
                episodes.append(Episode(day, *key, finding.severity, finding.detail))
                begun[key] = episodes[-1]
            elif finding.severity == "page" and begun[key].severity != "page":
                place = episodes.index(begun[key])
                begun[key] = episodes[place] = Episode(day, *key, "page", finding.detail)
            latest[key] = hour
    return episodes
