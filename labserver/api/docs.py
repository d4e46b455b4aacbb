"""The OpenAPI document, and the page `/docs` where people try it out.

The document is rendered once. Only the departure in its examples follows the clock: a request about a flight that has
left is rejected, and ``Execute`` must work.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from labserver.api.schemas import BATCH_EXAMPLE, FLIGHT_EXAMPLE
from labserver.errors import StoreUnavailable
from labserver.features.catalogue import Catalogue
from labserver.service.ports import Service


def serve_docs(app: FastAPI, catalogue: Catalogue, service: Service) -> None:
    """``GET /docs`` and ``GET /openapi.json``, from files of the environment: they work without internet."""
    app.mount("/static", StaticFiles(directory=str(files("fastapi_offline") / "static")), name="static")
    _show_ranges(app, catalogue)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        try:
            return JSONResponse(departing(app.openapi(), service.now().departure))
        except StoreUnavailable:
            return JSONResponse(app.openapi())

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


def departing(document: Mapping[str, Any], departure: datetime) -> dict[str, Any]:
    """A copy of the document with ``departure`` in the example of every flight."""
    leaves = {"scheduled_departure": departure.isoformat()}
    schemas = document["components"]["schemas"]
    flights = [flight | leaves for flight in BATCH_EXAMPLE["flights"]]
    shown = {
        "PredictionRequest": schemas["PredictionRequest"] | {"examples": [FLIGHT_EXAMPLE | leaves]},
        "BatchRequest": schemas["BatchRequest"] | {"examples": [{"flights": flights}]},
    }
    return {**document, "components": document["components"] | {"schemas": schemas | shown}}


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
