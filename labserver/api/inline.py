"""The short road for one prediction: the same request and answer models, without the framework's machinery."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from labserver.api.bodies import parse
from labserver.api.schemas import PredictionRequest, PredictionResponse
from labserver.service.prediction import Service


class InlinePrediction:
    """``POST /v1/predictions`` as an ASGI application. Errors go to the same handlers as everyone's."""

    path = "/v1/predictions"

    def __init__(self, service: Service, model_version: str, features_version: str) -> None:
        self._service = service
        self._versions = (model_version, features_version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # for the log, as FastAPI does for its own routes
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        answer = self._service.predict(parse(PredictionRequest, body).to_flight())
        content = PredictionResponse.of(answer, *self._versions).model_dump_json().encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
