"""The OpenAPI document, and the page `/docs` where people try it out.

The document is rendered once. Only the departure in its examples follows the clock: a request about a flight that has
left is rejected, and ``Execute`` must work.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from labserver.api.exchange import exchange_of
from labserver.api.schemas import BATCH_EXAMPLE, FLIGHT_EXAMPLE
from labserver.errors import StoreUnavailable
from labserver.features.catalogue import Catalogue
from labserver.service.ports import Service

SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
"""A script in the page itself."""


def serve_docs(app: FastAPI, catalogue: Catalogue, service: Service) -> None:
    """``GET /docs`` and ``GET /openapi.json``, from files of the environment: they work without internet."""
    app.mount("/static", StaticFiles(directory=str(files("fastapi_offline") / "static")), name="static")
    _show_ranges(app, catalogue)

    rendered: dict[str | None, bytes] = {}

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        departure = _departure(service)
        if departure not in rendered:
            rendered.clear()
            document = departing(app.openapi(), departure) if departure else app.openapi()
            rendered[departure] = bytes(JSONResponse(document).body)
        return Response(rendered[departure], media_type="application/json")

    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=app.title,
        swagger_js_url="static/swagger-ui-bundle.js",
        swagger_css_url="static/swagger-ui.css",
        swagger_favicon_url="static/favicon.png",
    ).body
    policy = _policy(bytes(page))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        exchange_of(request.scope).policy = policy
        return HTMLResponse(page)


def _departure(service: Service) -> str | None:
    try:
        return service.now().departure.isoformat()
    except StoreUnavailable:
        return None


def _policy(page: bytes) -> bytes:
    """Content-Security-Policy of the page: its own script, by hash, and the styles that its widgets set."""
    digests = [base64.b64encode(hashlib.sha256(script).digest()) for script in SCRIPT.findall(page)]
    scripts = b" ".join(b"'sha256-%s'" % digest for digest in digests)
    return (
        b"default-src 'none'; script-src 'self' %s; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'" % scripts
    )


def departing(document: Mapping[str, Any], departure: str) -> dict[str, Any]:
    """A copy of the document with ``departure`` in the example of every flight."""
    leaves = {"scheduled_departure": departure}
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
