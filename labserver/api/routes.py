"""The routes of the interface. Each turns a request into a call of the service, and its result into an answer."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute

from labserver.api.bodies import StrictRoute
from labserver.api.lifecycle import Readiness
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
from labserver.service.answer import all_or_first_refusal
from labserver.service.ports import Service

PROBLEMS = documented(400, 401, 408, 413, 415, 422, 503)


def prediction_routes(service: Service, model_version: str, features_version: str) -> APIRouter:
    """Predictions, one or many, and the vector behind one."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=PROBLEMS, tags=["predictions"])

    @router.post("/predictions", summary="Predict one flight")
    def predict(flight: PredictionRequest) -> PredictionResponse:
        """How likely is this flight to arrive more than 15 minutes late?"""
        return PredictionResponse.from_answer(service.predict(flight.to_flight()), model_version, features_version)

    @router.post("/predictions/batch", summary="Predict a batch")
    def predict_batch(batch: BatchRequest) -> BatchResponse:
        """How likely is each of up to 1,000 flights to arrive more than 15 minutes late? Answered in order."""
        answers = all_or_first_refusal(service.predict_each([flight.to_flight() for flight in batch.flights]))
        return BatchResponse.model_construct(
            predictions=[PredictionResponse.from_answer(answer, model_version, features_version) for answer in answers]
        )

    @router.post("/features/vector", summary="Show what the model would see")
    def feature_vector(flight: PredictionRequest) -> VectorResponse:
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
    """The route for outcomes of predicted flights."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, responses=PROBLEMS, tags=["outcomes"])

    @router.post("/outcomes", status_code=202, responses=documented(409), summary="Record an outcome")
    async def record_outcome(outcome: OutcomeRequest) -> OutcomeAccepted:
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
    """The routes that describe the catalogue and the model."""
    router = APIRouter(prefix="/v1", responses=documented(401, 408, 503), tags=["description"])

    # Neither changes while the process runs.
    listed = CatalogueResponse(**catalogue.described()).model_dump_json()
    described = ModelResponse(
        stage=lesson,
        own_parts=own,
        **{name: manifest[name] for name in ModelResponse.model_fields if name not in {"stage", "own_parts"}},
    ).model_dump_json()

    @router.get("/features", response_model=CatalogueResponse, summary="List the features")
    async def features() -> Response:
        """The catalogue: every feature with its unit, meaning, owner, definition and ranges."""
        return Response(listed, media_type="application/json")

    @router.get("/model", response_model=ModelResponse, summary="Describe the model")
    async def model() -> Response:
        """What is served: signature, training window, metrics on held-out months, hashes."""
        return Response(described, media_type="application/json")

    return router


def health_routes(health: Readiness) -> APIRouter:
    """The health checks for supervisors and balancers."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Check that the process answers")
    async def healthz() -> HealthShown:
        """The process answers."""
        return HealthShown(status="ok")

    not_ready: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready", "model": HealthShown}}

    @router.get("/readyz", responses=not_ready, summary="Check that the service is ready")
    async def readyz(response: Response) -> HealthShown:
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
