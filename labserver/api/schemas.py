"""The request and response models of the interface. Every field is bounded."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from labserver.features.flight import Flight
from labserver.service.answer import Answer
from labserver.service.decision import Decision

MAX_FLIGHTS = 1000
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

ALLOWED = {
    "carrier": "two letters or digits, such as UA",
    "flight": "an integer from 1 to 9999",
    "origin": "a three-letter airport code: EWR, JFK or LGA",
    "dest": "a three-letter airport code, such as ORD",
    "tailnum": "a tail number such as N12345, or null",
    "scheduled_departure": "an RFC 3339 time with offset, such as 2013-09-01T17:30:00-04:00",
    "as_of": "an RFC 3339 time with offset, or null",
    "overrides": "an object of feature names and finite numbers, see /v1/features",
    "flights": f"a list of 1 to {MAX_FLIGHTS:,} flights",
    "id": "the id of a prediction: 32 hexadecimal digits",
    "arrival_delay_minutes": "a number of minutes from -1440 to 10080, or null for a flight that never arrived",
}


def _rfc3339(value: object) -> object:
    if isinstance(value, str) and not RFC3339.fullmatch(value):
        raise ValueError("not an RFC 3339 time with an offset")
    if not isinstance(value, (str, datetime)):
        raise ValueError("not a string")
    if isinstance(value, str) and value[17:19] == "60":  # a leap second, which no clock here has
        try:
            return datetime.fromisoformat(f"{value[:17]}59{value[19:]}".upper()) + timedelta(seconds=1)
        except OverflowError:
            raise ValueError("after the year 9999") from None
    return value


def _whole(value: object) -> object:
    """JSON has one kind of number: 1545.0 is an integer (JSON Schema), and how some programs write one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Time = Annotated[AwareDatetime, BeforeValidator(_rfc3339, json_schema_input_type=datetime), Field(strict=False)]
Name = Annotated[str, Field(max_length=64)]
Airport = Annotated[str, Field(pattern="^[A-Z]{3}$")]


FLIGHT_EXAMPLE: dict[str, Any] = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "ORD",
    "tailnum": "N14228",
    "scheduled_departure": "2013-09-01T02:00:00-04:00",
}
"""Two hours after the clock of a build: its answer rests on fresh values. ``/openapi.json`` moves it with the clock."""

BATCH_EXAMPLE: dict[str, Any] = {
    "flights": [FLIGHT_EXAMPLE, FLIGHT_EXAMPLE | {"carrier": "B6", "flight": 583, "origin": "JFK", "dest": "MCO"}]
}


class StrictModel(BaseModel):
    """A model that rejects unknown fields: a misspelt optional field would otherwise be ignored in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class PredictionRequest(StrictModel):
    """A scheduled flight, from the clock on (``GET /v1/monitor`` shows it). ``as_of`` is the prediction time: two hours
    before departure where it is left out, but not before the clock.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [FLIGHT_EXAMPLE]})

    carrier: Annotated[str, Field(pattern="^[A-Z0-9]{2}$")]
    flight: Annotated[int, Field(ge=1, le=9999), BeforeValidator(_whole)]
    origin: Airport
    dest: Airport
    tailnum: Annotated[str | None, Field(pattern="^[A-Z0-9]{2,8}$")] = None
    scheduled_departure: Time
    as_of: Time | None = None
    overrides: Annotated[dict[Name, float] | None, Field(max_length=64, examples=[{"visibility": 0.5}])] = None

    def to_flight(self) -> Flight:
        """The flight as the service's own type."""
        return Flight(
            self.carrier,
            self.flight,
            self.origin,
            self.dest,
            self.tailnum,
            self.scheduled_departure,
            self.as_of,
            self.overrides or {},
        )


class AdjustmentShown(BaseModel):
    """A value that was replaced before the model saw it."""

    feature: str
    action: Literal["imputed", "clipped"]
    received: float | None
    used: float


class PredictionResponse(BaseModel):
    """How likely the flight is to arrive more than 15 minutes late, and what to do about it."""

    id: str
    probability: float
    decision: Decision
    model_version: str
    features_version: str
    adjusted: list[AdjustmentShown]
    stale: list[str]

    @classmethod
    def from_answer(cls, answer: Answer, model_version: str, features_version: str) -> PredictionResponse:
        """Make the response for an answer."""
        return cls(
            id=answer.id,
            probability=answer.probability,
            decision=answer.decision,
            model_version=model_version,
            features_version=features_version,
            adjusted=[AdjustmentShown(**asdict(adjustment)) for adjustment in answer.adjusted],
            stale=list(answer.stale),
        )


class BatchRequest(StrictModel):
    """Up to a thousand flights, answered in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [BATCH_EXAMPLE]})

    flights: Annotated[list[PredictionRequest], Field(min_length=1, max_length=MAX_FLIGHTS)]


class BatchResponse(BaseModel):
    """One prediction per flight, in the order of the request."""

    predictions: list[PredictionResponse]


class OutcomeRequest(StrictModel):
    """How late a predicted flight arrived; null if it never did."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "0123456789abcdef0123456789abcdef", "arrival_delay_minutes": 12}]}
    )

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    arrival_delay_minutes: Annotated[float | None, Field(ge=-1440, le=10080)]


class OutcomeAccepted(BaseModel):
    """The outcome is on disk."""

    id: str


class FeatureValue(BaseModel):
    """One value of a vector. ``origin`` is the catalogue's group, or ``override``."""

    name: str
    value: float
    unit: str
    origin: str
    known_at: datetime | None
    age_seconds: float | None
    adjusted: Literal["imputed", "clipped"] | None


class VectorResponse(BaseModel):
    """What the model would see. ``clock`` is the moment up to which the online store is complete."""

    as_of: datetime
    clock: datetime
    features_version: str
    values: list[FeatureValue]


class CatalogueResponse(BaseModel):
    """The catalogue, by group."""

    version: str
    groups: list[dict[str, Any]]


class ModelResponse(BaseModel):
    """What is served, and how good it was on months it had never seen."""

    model_config = ConfigDict(protected_namespaces=())

    stage: int
    own_parts: list[str]
    bundle_hash: str
    model_version: str
    features_version: str
    built_at: datetime
    signature: dict[str, Any]
    training_window: list[str]
    held_out_window: list[str]
    rows: dict[str, int]
    metrics: dict[str, Any]
    files: dict[str, Any]


class Health(BaseModel):
    """``reason`` says why a service is not ready."""

    status: Literal["ok", "not ready"]
    reason: str | None = None
