"""The service that lesson 0 begins with: a model, and feature code pasted from the notebook that trained it."""

from __future__ import annotations

import os
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()

ORIGINS = ["EWR", "JFK", "LGA"]


class Flight(BaseModel):
    """What a client knows of a flight. ``time_hour`` is an RFC 3339 time, the hour of the scheduled departure."""

    day: str
    time_hour: str
    origin: str
    distance: float


def features(flights: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "hour": pd.to_datetime(flights["time_hour"]).dt.hour,
            "weekday": pd.to_datetime(flights["day"]).dt.day_of_week,
            "distance": flights["distance"],
            "origin": flights["origin"].map(ORIGINS.index),
        }
    )


@cache
def model() -> Any:
    return pickle.loads(Path(os.environ["MODEL"]).read_bytes())  # noqa: S301  (lesson 6 is about that)


@app.post("/predict")
def predict(flights: list[Flight]) -> list[float]:
    """For each flight the probability that it arrives more than 15 minutes late."""
    table = pd.DataFrame([flight.model_dump() for flight in flights])
    probability: list[float] = model().predict_proba(features(table))[:, 1].tolist()
    return probability
