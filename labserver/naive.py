"""What the lessons replace. Each piece runs, and each fails the way real services fail. Only ``stages.py`` uses it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pickle
import signal
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from labserver.errors import Damaged
from labserver.features.flight import NEW_YORK, Flight, microseconds
from labserver.features.store import Lookup
from labserver.model.bundle import Bundle
from labserver.parts import Context, Horizon, Ingredients
from labserver.service.decision import Decision
from labserver.service.prediction import Answer, PredictionService, naming
from labserver.settings import Settings
from labserver.sources.warehouse import open_warehouse

END_OF_DATA = datetime(2014, 1, 2, tzinfo=NEW_YORK)


class CutOff:
    """Before lesson 1: the process is gone at once, and every answer in the making with it."""

    def install(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))


def drain(settings: Settings) -> CutOff:
    return CutOff()


class LatestInTheWarehouse:
    """Before lesson 2: whatever is newest. The warehouse holds the whole year, so that is next December."""

    def until(self, as_of: datetime) -> datetime:
        return END_OF_DATA


def horizon(context: Context) -> LatestInTheWarehouse:
    return LatestInTheWarehouse()


class ZeroFill:
    """Before lesson 3: a missing pressure is 0 hPa, an unknown plane is brand new and has no seats."""

    def apply(self, matrix: NDArray[np.float32]) -> None:
        np.nan_to_num(matrix, copy=False, nan=0.0)


def completion(context: Context) -> ZeroFill:
    return ZeroFill()


class AnyNumber:
    """Before lesson 4: 1048 mph of wind is a number too."""

    def apply(self, matrix: NDArray[np.float32]) -> None:
        return

    def check_override(self, name: str, value: float) -> None:
        return


def ranges(context: Context) -> AnyNumber:
    return AnyNumber()


class OneHalf:
    """Before lesson 5: as if a false alarm cost as much as a missed delay."""

    def decide(self, probability: float) -> Decision:
        return "warn" if probability > 0.5 else "no_warning"


def decision(context: Context) -> OneHalf:
    return OneHalf()


AGGREGATES = """
WITH nights AS (
    SELECT max(night) AS night FROM (
        SELECT (date_trunc('day', ($until AT TIME ZONE 'America/New_York')) + INTERVAL 4 HOUR - to_days(back::INTEGER))
            AT TIME ZONE 'America/New_York' AS night FROM range(2) AS r(back))
    WHERE night <= $until
),
recent AS (
    SELECT departure_delay FROM flights
    WHERE origin = $origin AND departed_at <= time_bucket(INTERVAL 15 MINUTE, $until)
    ORDER BY departed_at DESC, flight_id DESC LIMIT 20
),
reports AS (
    SELECT departed_at AS known_at, departure_delay AS minutes, flight_id * 2 AS report FROM flights
    WHERE tailnum = $tailnum AND departed_at <= $until
    UNION ALL
    SELECT arrived_at, arrival_delay, flight_id * 2 + 1 FROM flights WHERE tailnum = $tailnum AND arrived_at <= $until
),
observed AS (SELECT * FROM weather WHERE origin = $origin AND known_at <= $until ORDER BY known_at DESC LIMIT 1)
SELECT
    (SELECT max(distance) FROM flights WHERE origin = $origin AND dest = $dest),
    (SELECT 2013 - year FROM planes WHERE tailnum = $tailnum),
    (SELECT seats FROM planes WHERE tailnum = $tailnum),
    (SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (late))::DOUBLE / count(*)::DOUBLE END FROM flights, nights
        WHERE origin = $origin AND dest = $dest AND arrived_at <= night AND arrived_at > night - INTERVAL 30 DAY),
    (SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (late))::DOUBLE / count(*)::DOUBLE END FROM flights, nights
        WHERE origin = $origin AND carrier = $carrier AND arrived_at <= night AND arrived_at > night - INTERVAL 30 DAY),
    (SELECT CASE WHEN count(*) >= 10 THEN (count(*) FILTER (late))::DOUBLE / count(*)::DOUBLE END FROM flights, nights
        WHERE origin = $origin AND arrived_at <= night AND arrived_at > night - INTERVAL 7 DAY),
    (SELECT humid FROM observed), (SELECT wind_speed FROM observed), (SELECT precip FROM observed),
    (SELECT pressure FROM observed), (SELECT visib FROM observed),
    (SELECT sum(departure_delay)::DOUBLE / count(*) FROM recent),
    (SELECT (count(*) FILTER (departure_delay > 15))::DOUBLE / count(*) FROM recent),
    (SELECT minutes::DOUBLE FROM reports ORDER BY known_at DESC, report DESC LIMIT 1),
    (SELECT epoch_us(night) FROM nights), (SELECT epoch_us(known_at) FROM observed),
    epoch_us(time_bucket(INTERVAL 15 MINUTE, $until)), (SELECT epoch_us(max(known_at)) FROM reports)
"""


class ComputedPerRequest:
    """Before lesson 5: nothing is looked up. Each request computes a month of aggregates that change once a night, in
    a second copy of what ``features.definitions`` says.
    """

    def __init__(self, context: Context, horizon: Horizon) -> None:
        self._db = open_warehouse(context.settings.warehouse)
        self._horizon = horizon
        self._clock = datetime.fromisoformat(context.bundle.manifest["clock"])

    def clock(self) -> datetime:
        return self._clock

    def lookup(self, flight: Flight) -> Lookup:
        # Times are checked after the look-up; the warehouse only understands those of its own year.
        asked = min(max(flight.asked_at(self._clock), self._clock), END_OF_DATA)
        until = self._horizon.until(asked)
        question = {
            "origin": flight.origin,
            "dest": flight.dest,
            "carrier": flight.carrier,
            "tailnum": flight.tailnum,
        }
        [row] = self._db.cursor().execute(AGGREGATES, {"until": until, **question}).fetchall()
        always = microseconds(datetime(2013, 1, 1, tzinfo=NEW_YORK))
        night, observed, tick, report = row[14:]
        known_at = (always, always, night, night, night, observed, tick, report)
        return Lookup(self._clock, row[:14], known_at)


class OneByOne(PredictionService):
    """Before lesson 5: a batch is a loop over requests."""

    def predict_many(self, flights: Sequence[Flight]) -> list[Answer]:
        answers = []
        for number, flight in enumerate(flights):
            with naming(number):
                answers.append(self.predict(flight))
        return answers


def service(ingredients: Ingredients) -> OneByOne:
    context = ingredients.context
    return OneByOne(
        context.catalogue,
        context.bundle.vocabulary,
        ComputedPerRequest(context, ingredients.horizon),
        ingredients.ranges,
        ingredients.completion,
        ingredients.predictor,
        ingredients.decision,
    )


def loader(path: Path) -> Bundle:
    """Before lesson 6: whatever lies in the folder is believed."""
    try:
        content = {name: json.loads((path / f"{name}.json").read_bytes()) for name in TRUSTED}
        return Bundle(path=path.resolve(), model=(path / "model.onnx").read_bytes(), **content)
    except (OSError, ValueError):
        raise Damaged(f"There is no readable bundle at {path}. Run `labserver build`.") from None


TRUSTED = ("manifest", "catalogue", "reference", "vocabulary")


def threads(settings: Settings) -> int | None:
    """Before lesson 7: the libraries decide, and each takes every core."""
    return None


class UnpickledPerRequest:
    """Before lesson 6: the file is read, and whatever it contains is run, for every single request."""

    def __init__(self, path: Path, names: Sequence[str], threads: int | None) -> None:
        self._path, self._names, self._threads = path, names, threads

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        model = pickle.loads(self._path.read_bytes())  # noqa: S301  (the lesson)
        return OneRowFrames(model, self._names, self._threads).probabilities(matrix)


class OneRowFrames:
    """Before lesson 8: a DataFrame for each call, and a library made for training."""

    def __init__(self, model: Any, names: Sequence[str], threads: int | None) -> None:
        self._model, self._names, self._threads = model, list(names), threads

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        frame = pd.DataFrame(matrix, columns=self._names)
        with threadpool_limits(self._threads):
            column: NDArray[np.float32] = self._model.predict_proba(frame.to_numpy())[:, 1].astype(np.float32)
        return column


def unpickle_per_request(context: Context, threads: int | None) -> UnpickledPerRequest:
    path = context.settings.teaching / "model.pkl"
    if not path.exists():
        raise Damaged(f"There is no model at {path}. Run `labserver build`.")
    return UnpickledPerRequest(path, context.catalogue.names, threads)


def unpickle_at_start(context: Context, threads: int | None) -> OneRowFrames:
    """From lesson 6 to 8: loaded once, and only if it is the file that the build wrote."""
    path = context.settings.teaching / "model.pkl"
    try:
        content = path.read_bytes()
        expected = json.loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        raise Damaged(f"There is no whole model at {path}. Run `labserver build`.") from None
    if (hashlib.sha256(content).hexdigest(), context.bundle.manifest["bundle_hash"]) != (
        expected["sha256"],
        expected["bundle_hash"],
    ):
        raise Damaged(f"{path} is not the file that the build of this bundle wrote. Run `labserver build`.")
    return OneRowFrames(pickle.loads(content), context.catalogue.names, threads)  # noqa: S301  (hash verified)


def inline(settings: Settings) -> bool:
    return False
