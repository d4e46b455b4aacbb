"""The service's own state: ``/metrics`` for Prometheus, and ``/v1/monitor`` for the dashboard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from pydantic import BaseModel, Field, TypeAdapter

from labserver.api.metrics import HttpMetrics
from labserver.api.problems import documented
from labserver.api.renderings import Rendering
from labserver.errors import StoreUnavailable
from labserver.monitor.ports import Monitor
from labserver.monitor.prometheus import exposition
from labserver.service.ports import Service
from labserver.service.schedule import Now

OPENMETRICS = "application/openmetrics-text"
STATUSES = {"GET": (503,), "POST": (422, 503)}
"""Statuses other than the usual one whose series exist from the start."""


class PartShown(BaseModel):
    """An active part. ``own`` says that it is a learner's."""

    part: str
    lesson: int
    factory: str
    why: str
    own: bool


class ExerciseShown(BaseModel):
    """A learner's progress in an exercise: ``state`` is that of the last check, ``whose`` says whose part is active."""

    lesson: int
    title: str
    state: str
    whose: str


EXERCISES_ADAPTER = TypeAdapter(Annotated[list[ExerciseShown], Field(max_length=20)])


@dataclass(frozen=True)
class ShownBeside:
    """Content of the page that is not the service's own, passed in by the program that starts it.

    Attributes:
        parts: the origin of the service's parts.
        exercises: returns a learner's progress; called each time.
        own: names of the parts that are a learner's.
    """

    parts: list[PartShown] = field(default_factory=list)
    exercises: Callable[[], list[ExerciseShown]] = list
    own: list[str] = field(default_factory=list)


class MonitorResponse(BaseModel):
    """The state of the service and of the model, of the worker that answers.

    ``home`` tells home folders apart (:func:`labserver.homes.identity`). ``clock`` is the moment up to which the data
    are complete, and ``next_departure`` a departure that can be asked about with values as fresh as they get; both are
    null while the online store does not respond. ``requests`` counts predictions, batches, vectors and outcomes.
    ``shadow`` counts the answers of a second model that is never sent, if there is one.
    """

    stage: int
    home: str
    clock: str | None
    next_departure: str | None
    bundle: dict[str, Any]
    parts: list[PartShown]
    exercises: list[ExerciseShown]
    requests: dict[str, Any]
    predictions: dict[str, Any]
    features: list[dict[str, Any]]
    recent: list[dict[str, Any]]
    quality: dict[str, Any]
    shadow: dict[str, int] | None = None
    alerts: list[dict[str, Any]]


def monitoring_routes(
    http: HttpMetrics,
    registry: CollectorRegistry,
    service: Service,
    monitor: Monitor,
    manifest: Mapping[str, Any],
    lesson: int,
    home: str,
    beside: ShownBeside,
) -> APIRouter:
    """``GET /metrics`` and ``GET /v1/monitor``, which also shows ``beside``."""
    router = APIRouter(responses=documented(401), tags=["monitoring"])
    named = ("bundle_hash", "model_version", "features_version", "built_at")
    bundle = {name.removeprefix("bundle_"): manifest[name] for name in named}

    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}, OPENMETRICS: {}}}}

    def page(written: Callable[[CollectorRegistry], bytes]) -> bytes:
        http.flush()
        return exposition(registry, written)

    def state() -> bytes:
        now = _now(service)
        shown = MonitorResponse(
            stage=lesson,
            home=home,
            clock=now.clock.isoformat() if now else None,
            next_departure=now.departure.isoformat() if now else None,
            bundle=bundle,
            parts=beside.parts,
            exercises=beside.exercises(),
            requests=http.recent(),
            **monitor.status(),
        )
        return shown.model_dump_json().encode()

    pages = {
        CONTENT_TYPE_LATEST: Rendering(partial(page, generate_latest)),
        openmetrics.CONTENT_TYPE_LATEST: Rendering(partial(page, openmetrics.generate_latest)),
    }
    monitor_document = Rendering(state)

    @router.get("/metrics", response_class=Response, responses=text, summary="Read the metrics for Prometheus")
    async def metrics(request: Request) -> Response:
        """For Prometheus: the text format, or OpenMetrics 1.0 for those who accept it."""
        kind = openmetrics.CONTENT_TYPE_LATEST if accepts_openmetrics(request) else CONTENT_TYPE_LATEST
        content = await asyncio.shield(pages[kind].get())
        return Response(content, headers={"Content-Type": kind, "Vary": "Accept"})

    @router.get("/v1/monitor", response_model=MonitorResponse, summary="Watch the service and the model")
    async def monitor_state() -> Response:
        """Requests, features, predictions, outcomes and alerts, as the dashboard shows them."""
        return Response(await asyncio.shield(monitor_document.get()), media_type="application/json")

    return router


def accepts_openmetrics(request: Request) -> bool:
    """True if the client names the format, of any version, and does not refuse it with ``q=0``."""
    for accepted in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (part.strip() for part in accepted.split(";"))
        if kind == OPENMETRICS:
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


def _now(service: Service) -> Now | None:
    try:
        return service.now()
    except StoreUnavailable:
        return None


def expected_series(routers: Sequence[APIRouter]) -> list[tuple[str, str, Sequence[int]]]:
    """The series of every route of the interface, for :meth:`HttpMetrics.expect`."""
    return [
        (route.path, method, (route.status_code or 200, *STATUSES[method]))
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted((route.methods or set()) & STATUSES.keys())
    ]
