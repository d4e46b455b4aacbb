"""Puts the application together from parts."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from labserver import __version__
from labserver.api import problems
from labserver.api.dashboard import dashboard_routes
from labserver.api.inline import InlinePrediction
from labserver.api.lifecycle import Health
from labserver.api.limits import Limits
from labserver.api.logs import RequestLog, output
from labserver.api.monitoring import expected_series, monitoring_routes
from labserver.api.routes import description_routes, health_routes, outcome_routes, posts_by_path, prediction_routes
from labserver.features.catalogue import Catalogue
from labserver.monitor.metrics import HttpMetrics, new_registry
from labserver.monitor.monitor import Watched
from labserver.monitor.observed import ObservedService
from labserver.monitor.outcomes import OutcomeStore
from labserver.parts import Parts, assemble
from labserver.settings import Settings


def create_app(settings: Settings, parts: Parts, own: Sequence[str] = ()) -> FastAPI:
    """The application of one worker, its bundle loaded and verified.

    Raises:
        LabError: if something the service rests on is not usable.
    """
    context, service = assemble(parts, settings)
    outcomes = OutcomeStore(settings.outcomes)
    admission = parts.admission(settings)
    registry = new_registry()
    metrics = HttpMetrics(registry)
    manifest, catalogue = context.bundle.manifest, context.catalogue
    monitor = parts.monitor(Watched(settings, context.bundle, catalogue, registry, outcomes, parts.drift(context)))
    service = ObservedService(service, monitor)
    health = Health(admission, service.problem)
    versions = manifest["model_version"], catalogue.version

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts.drain(settings).install(asyncio.get_running_loop(), health.begin_drain)
        structlog.get_logger().info(
            "ready", stage=settings.lesson, bundle=manifest["bundle_hash"][:16], own_parts=list(own)
        )
        monitor.start()
        # What is loaded now stays until the end: a collection that walked it would make a request wait 20 ms.
        gc.collect()
        gc.freeze()
        yield
        monitor.close()
        outcomes.close()

    app = FastAPI(
        title="Flight delays",
        version=__version__,
        description="Will this flight leave New York and arrive more than 15 minutes late?",
        # Relative to where openapi.json is: true at every address and behind every proxy's prefix.
        servers=[{"url": "./"}],
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    routers = [
        prediction_routes(service, *versions),
        outcome_routes(outcomes),
        description_routes(catalogue, manifest, settings.lesson, list(own)),
        health_routes(health),
        monitoring_routes(metrics, registry, monitor, manifest, settings.lesson, own, settings.progress),
    ]
    for router in routers:
        app.include_router(router)
    app.router.routes.extend(dashboard_routes())
    metrics.expect(expected_series(routers))
    _serve_docs(app)
    _show_ranges(app, catalogue)
    # The last one added is the first that a request meets.
    if parts.inline(settings):
        app.add_middleware(InlinePrediction, service, *versions)
    app.add_middleware(Limits, settings, admission, metrics, posts_by_path(routers))
    chatty = settings.log_level in {"debug", "info"}
    app.add_middleware(RequestLog, health, metrics, output(), chatty)
    return app


def _serve_docs(app: FastAPI) -> None:
    """The OpenAPI page, from files of the environment: it works without internet."""
    app.mount("/static", StaticFiles(directory=str(files("fastapi_offline") / "static")), name="static")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        shown: dict[str, Any] = {
            "openapi_url": "openapi.json",
            "title": app.title,
            "swagger_js_url": "static/swagger-ui-bundle.js",
            "swagger_css_url": "static/swagger-ui.css",
            "swagger_favicon_url": "static/favicon.png",
        }
        return get_swagger_ui_html(**shown)


def _show_ranges(app: FastAPI, catalogue: Catalogue) -> None:
    """Lesson 4: OpenAPI shows what a client may send for each feature, from the catalogue that refuses the rest."""
    allowed = {
        feature.name: {
            "type": "number",
            "minimum": feature.possible.low,
            "maximum": feature.possible.high,
            "description": f"{feature.meaning} ({feature.unit})",
        }
        for feature in catalogue.features
    }
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        overrides = schema["components"]["schemas"]["PredictionRequest"]["properties"]["overrides"]
        overrides["anyOf"][0] = {"type": "object", "properties": allowed, "additionalProperties": False}
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
