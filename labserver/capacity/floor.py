"""The floor: a FastAPI endpoint with the service's own models that answers a constant: the framework's cost alone."""

from __future__ import annotations

from fastapi import FastAPI

from labserver.api.schemas import Health, PredictionRequest, PredictionResponse


def create() -> FastAPI:
    """``uvicorn --factory labserver.capacity.floor:create``."""
    app = FastAPI()

    @app.post("/v1/predictions")
    async def predict(flight: PredictionRequest) -> PredictionResponse:
        return PredictionResponse(
            id="0" * 32,
            probability=0.5,
            decision="warn",
            model_version="0" * 12,
            features_version="0" * 12,
            adjusted=[],
            stale=[],
        )

    @app.get("/readyz")
    async def ready() -> Health:
        return Health(status="ok")

    return app
