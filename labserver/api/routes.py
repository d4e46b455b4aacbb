"""The routes of the interface. Each turns a message into a call of the service, and back."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute

from labserver.api.bodies import StrictRoute
from labserver.api.lifecycle import Health
from labserver.api.problems import Problem, documented
from labserver.api.schemas import (
    BatchRequest,
    BatchResponse,
    CatalogueResponse,
    FeatureValue,
    ModelResponse,
    OutcomeAccepted,
    OutcomeRequest,
    PredictionRequest,
    PredictionResponse,
    VectorResponse,
)
from labserver.api.schemas import Health as HealthShown
from labserver.features.catalogue import Catalogue
from labserver.monitor.outcomes import Outcome, OutcomeConflict, OutcomeStore
from labserver.service.prediction import Service, together

PROBLEMS = documented(400, 401, 408, 413, 415, 422, 503)


def prediction_routes(service: Service, model_version: str, features_version: str) -> APIRouter:
    """Predictions, one or many, and the vector behind one."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=PROBLEMS, tags=["predictions"])

    @router.post("/predictions")
    def predict(flight: PredictionRequest) -> PredictionResponse:
        """How likely is this flight to arrive more than 15 minutes late?"""
        return PredictionResponse.of(service.predict(flight.to_flight()), model_version, features_version)

    @router.post("/predictions/batch")
    def predict_batch(batch: BatchRequest) -> BatchResponse:
        """The same for up to 1,000 flights, in order."""
        answers = together(service.predict_each([flight.to_flight() for flight in batch.flights]))
        return BatchResponse.model_construct(
            predictions=[PredictionResponse.of(answer, model_version, features_version) for answer in answers]
        )

    @router.post("/features/vector")
    def vector(flight: PredictionRequest) -> VectorResponse:
        """The features that a prediction would use, with the origin and age of each."""
        found = service.vector(flight.to_flight())
        return VectorResponse(
            as_of=found.as_of,
            clock=found.clock,
            features_version=features_version,
            values=[FeatureValue(**value) for value in service.explain(found)],
        )

    return router


def outcome_routes(outcomes: OutcomeStore) -> APIRouter:
    """What became of the predicted flights."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=PROBLEMS, tags=["outcomes"])

    @router.post("/outcomes", status_code=202, responses=documented(409))
    async def outcome(outcome: OutcomeRequest) -> OutcomeAccepted:
        """Record how late a flight arrived. Safe to repeat; on disk once it is answered."""
        try:
            await asyncio.wrap_future(outcomes.record(Outcome(outcome.id, outcome.arrival_delay_minutes)))
        except OutcomeConflict as error:
            listed = [{"field": "arrival_delay_minutes", "detail": str(error), "allowed": "the same value again"}]
            raise Problem(409, str(error), listed) from None
        except (queue.Full, sqlite3.Error):
            raise Problem(503, "The outcome was not stored. Send it again.", headers={"Retry-After": "1"}) from None
        return OutcomeAccepted(id=outcome.id)

    return router


def description_routes(catalogue: Catalogue, manifest: Mapping[str, Any], lesson: int, own: list[str]) -> APIRouter:
    """What the service knows of itself."""
    router = APIRouter(prefix="/v1", responses=documented(401, 408, 503), tags=["description"])

    @router.get("/features")
    async def features() -> CatalogueResponse:
        """The catalogue: every feature with its unit, meaning, owner, definition and ranges."""
        return CatalogueResponse(**catalogue.described())

    @router.get("/model")
    async def model() -> ModelResponse:
        """What is served: signature, training window, metrics on held-out months, hashes."""
        return ModelResponse(
            stage=lesson,
            own_parts=own,
            **{name: manifest[name] for name in ModelResponse.model_fields if name not in {"stage", "own_parts"}},
        )

    return router


def health_routes(health: Health) -> APIRouter:
    """For supervisors and balancers."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def alive() -> HealthShown:
        """The process answers."""
        return HealthShown(status="ok")

    @router.get("/readyz", responses={503: {"description": "Not ready", "model": HealthShown}})
    async def ready(response: Response) -> HealthShown:
        """The service may be sent requests."""
        if reason := health.reason():
            response.status_code = 503
            return HealthShown(status="not ready", reason=reason)
        return HealthShown(status="ok")

    return router


def posts_by_path(routers: Sequence[APIRouter]) -> dict[str, APIRoute]:
    """The routes that take a body."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {route.path: route for route in routes if "POST" in (route.methods or ())}
