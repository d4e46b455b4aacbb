"""The short road for one prediction: the same request and answer models, without the framework's machinery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from labserver.api.bodies import parse
from labserver.api.problems import answer_to
from labserver.api.schemas import PredictionRequest, PredictionResponse
from labserver.features.flight import Flight
from labserver.service.prediction import Answer, Service


class Turn:
    """Predictions for all requests that are ready in the same turn of the event loop, by one call of the service.

    Nobody waits for others to come: what is there is answered. The more requests arrive at once, the less each costs,
    since a call of SQLite, NumPy or ONNX Runtime costs about the same for one flight as for ten.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: list[tuple[Flight, asyncio.Future[Answer]]] = []

    def predict(self, flight: Flight) -> asyncio.Future[Answer]:
        """The answer, at the end of this turn."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((flight, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._answer)
        return future

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        results: Sequence[Answer | Exception]
        try:
            results = self._service.predict_each([flight for flight, _ in waiting])
        except Exception as error:  # of the service, not of a flight: everyone is told
            results = [error] * len(waiting)
        for (_, future), result in zip(waiting, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


class InlinePrediction:
    """Answers ``POST /v1/predictions`` and passes everything else on.

    The framework's own route does the same, documents it, and stands behind this one: a request that is not
    recognised here is answered there.
    """

    path = "/v1/predictions"

    def __init__(self, app: ASGIApp, service: Service, model_version: str, features_version: str) -> None:
        self._app = app
        self._turn = Turn(service)
        self._versions = (model_version, features_version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self  # for the log, as FastAPI does for its own routes
        body = (await receive())["body"]  # all of it: Limits has gathered it
        try:
            answer = await self._turn.predict(parse(PredictionRequest, body).to_flight())
        except Exception as error:
            await answer_to(error, scope.get("request_id"))(scope, receive, send)
            return
        content = PredictionResponse.of(answer, *self._versions).model_dump_json().encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
