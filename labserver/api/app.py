"""Makes the application of one worker from its parts."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import structlog
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from labserver import __version__
from labserver.api import problems
from labserver.api.admission import Admission
from labserver.api.dashboard import dashboard_routes
from labserver.api.docs import serve_docs
from labserver.api.inline import InlinePrediction
from labserver.api.lifecycle import Drain, Readiness
from labserver.api.limits import RequestLimits
from labserver.api.log_writer import log_output
from labserver.api.logs import RequestLog
from labserver.api.metrics import REFUSED, HttpMetrics
from labserver.api.monitoring import ShownBeside, expected_series, monitoring_routes
from labserver.api.routes import description_routes, health_routes, outcome_routes, posts_by_path, prediction_routes
from labserver.features.catalogue import Catalogue
from labserver.homes import identity
from labserver.monitor.outcomes import OutcomeStore
from labserver.monitor.ports import Monitor
from labserver.service.ports import Service
from labserver.settings import Settings

THREADS_FOR_BATCHES = 1
"""Threads beside the event loop that batches are answered in. They share the interpreter's lock with it: with the
framework's forty, 48 clients with batches made a single prediction wait for seconds."""
SWITCH_SECONDS = 0.0005
"""Time for which a thread may keep the lock while another wants it, instead of 5 ms."""


@dataclass(frozen=True)
class Backend:
    """Everything that the interface calls.

    Attributes:
        service: makes the predictions.
        monitor: counts inputs and answers, and finds drift.
        outcomes: stores the outcomes of flights.
        catalogue: the features, with what training saw.
        manifest: of the bundle.
        registry: of the metrics of this process.
        admission: the concurrency limit.
        drain: handles SIGTERM.
        inline: whether a prediction is answered on the event loop.
    """

    service: Service
    monitor: Monitor
    outcomes: OutcomeStore
    catalogue: Catalogue
    manifest: Mapping[str, Any]
    registry: CollectorRegistry
    admission: Admission
    drain: Drain
    inline: bool


def create_app(settings: Settings, backend: Backend, shown: ShownBeside) -> FastAPI:
    """Make the application of one worker. ``shown`` is what the page shows in addition to the service itself."""
    service, monitor, outcomes, admission = backend.service, backend.monitor, backend.outcomes, backend.admission
    manifest, catalogue = backend.manifest, backend.catalogue
    metrics = HttpMetrics(backend.registry)
    log_output().on_drop = metrics.lines_dropped
    health = Readiness(service.problem)
    versions = manifest["model_version"], catalogue.version

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        backend.drain.install(asyncio.get_running_loop(), health.begin_drain)
        structlog.get_logger().info(
            "ready", stage=settings.lesson, bundle=manifest["bundle_hash"][:16], own_parts=shown.own
        )
        monitor.start()
        if backend.inline:
            anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS_FOR_BATCHES
            sys.setswitchinterval(SWITCH_SECONDS)
        # Objects loaded now live until the end: a garbage collection that visits them makes a request wait 20 ms.
        gc.collect()
        gc.freeze()
        yield {REFUSED: metrics.rejected}
        monitor.close()
        outcomes.close()

    app = FastAPI(
        title="Flight delays",
        version=__version__,
        description="Two hours before its scheduled departure, how likely is a flight from New York to arrive more "
        "than 15 minutes late?",
        # Relative to where openapi.json is: true at every address and behind every proxy's prefix.
        servers=[{"url": "./"}],
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # its redirects repeat what the client said
    )
    routers = [
        prediction_routes(service, *versions),
        outcome_routes(outcomes),
        description_routes(catalogue, manifest, settings.lesson, shown.own),
        health_routes(health),
        monitoring_routes(
            metrics,
            backend.registry,
            service,
            monitor,
            manifest,
            settings.lesson,
            identity(settings.state),
            shown,
        ),
    ]
    problems.install(app, {route.path for router in routers for route in router.routes if isinstance(route, Route)})
    for router in routers:
        app.include_router(router)
    app.router.routes.extend(dashboard_routes())
    metrics.expect(expected_series(routers))
    serve_docs(app, catalogue, service)
    # The layer added last is the first to get a request.
    if backend.inline:
        app.add_middleware(InlinePrediction, service, *versions)
    posts = posts_by_path(routers)
    app.add_middleware(RequestLimits, settings, admission, metrics, posts)
    chatty = settings.log_level in {"debug", "info"}
    app.add_middleware(RequestLog, health, metrics, posts.keys(), chatty)
    return app


def _operation_id(route: APIRoute) -> str:
    """The operation's id in the OpenAPI document: the function's name, which a generated client uses too."""
    return route.name
