"""What the service knows of its own health: for Prometheus, and for the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from pydantic import BaseModel, Field, TypeAdapter

from labserver.api.problems import documented
from labserver.monitor.metrics import HttpMetrics, exposition
from labserver.monitor.monitor import Monitor
from labserver.stages import CHANGES, in_force

STATUSES = {"GET": (503,), "POST": (422, 503)}
"""Answers beside the usual one whose series exist from the start."""


class PartShown(BaseModel):
    """A part in force. ``own`` says that it is a learner's."""

    part: str
    lesson: int
    factory: str
    why: str
    own: bool


class ExerciseShown(BaseModel):
    """How far a learner is with an exercise: ``state`` is of the last check, ``whose`` says whose part is in force."""

    lesson: int
    title: str
    state: str
    whose: str


EXERCISES = TypeAdapter(Annotated[list[ExerciseShown], Field(max_length=20)])


class MonitorResponse(BaseModel):
    """The state of the service and of the model, of the worker that answers."""

    stage: int
    clock: str | None
    bundle: dict[str, Any]
    parts: list[PartShown]
    exercises: list[ExerciseShown]
    requests: dict[str, Any]
    predictions: dict[str, Any]
    features: list[dict[str, Any]]
    recent: list[dict[str, Any]]
    quality: dict[str, Any]
    alerts: list[dict[str, Any]]


def monitoring_routes(
    http: HttpMetrics,
    registry: CollectorRegistry,
    monitor: Monitor,
    manifest: Mapping[str, Any],
    lesson: int,
    own: Sequence[str],
    progress: Path,
) -> APIRouter:
    """``GET /metrics`` and ``GET /v1/monitor``. ``progress`` is the file that ``lab check`` writes."""
    router = APIRouter(responses=documented(401), tags=["monitoring"])
    shown = ("bundle_hash", "model_version", "features_version", "built_at")
    bundle = {name.removeprefix("bundle_"): manifest[name] for name in shown}
    parts = parts_in_force(lesson, own)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """For Prometheus: the text format, version 0.0.4."""
        http.flush()
        return Response(exposition(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/v1/monitor")
    async def monitored() -> MonitorResponse:
        """Requests, features, predictions, outcomes and alerts, as the dashboard shows them."""
        return MonitorResponse(
            stage=lesson,
            bundle=bundle,
            parts=parts,
            exercises=exercises(progress),
            requests=http.recent(),
            **monitor.status(),
        )

    return router


def exercises(file: Path) -> list[ExerciseShown]:
    """What is in the file; nothing if there is none, or something else is in it."""
    try:
        return EXERCISES.validate_json(file.read_bytes())
    except (OSError, ValueError):
        return []


def parts_in_force(lesson: int, own: Sequence[str]) -> list[PartShown]:
    """The contents page of a stage, in the order of its lessons."""
    factories = in_force(lesson)
    return [
        PartShown(
            part=change.part,
            lesson=change.lesson,
            factory=change.factory,
            why=change.why,
            own=change.part in own,
        )
        for change in sorted(CHANGES, key=lambda change: change.lesson)
        if factories.get(change.part) == change.factory
    ]


def expected_series(routers: Sequence[APIRouter]) -> list[tuple[str, str, Sequence[int]]]:
    """The series of every route of the interface, for :meth:`HttpMetrics.expect`."""
    return [
        (route.path, method, (route.status_code or 200, *STATUSES[method]))
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted((route.methods or set()) & STATUSES.keys())
    ]
