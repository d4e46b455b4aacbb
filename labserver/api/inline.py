"""A fast path for predictions: the same request and answer models, without the framework's overhead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from labserver.api.bodies import parse
from labserver.api.exchange import exchange_of
from labserver.api.problems import answer_to
from labserver.api.schemas import BatchRequest, BatchResponse, PredictionRequest, PredictionResponse
from labserver.features.flight import Flight
from labserver.service.answer import Answer, all_or_first_refusal
from labserver.service.ports import Service


class TurnBatcher:
    """Predictions for all requests that are ready in the same turn of the event loop, by one call of the service.

    No request waits for others to arrive: those that are here are answered. The more arrive at once, the less each
    costs, since a call of SQLite, NumPy or ONNX Runtime costs about the same for one flight as for ten.
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
    """Answers ``POST /v1/predictions`` and ``/v1/predictions/batch``, and passes everything else on.

    The framework's own routes do the same and document it. A batch is read, answered and written in a thread: a
    thousand flights take some 60 ms, in which the event loop would answer nobody.
    """

    def __init__(self, app: ASGIApp, service: Service, model_version: str, features_version: str) -> None:
        self._app = app
        self._service = service
        self._turn = TurnBatcher(service)
        self._versions = (model_version, features_version)
        self._answers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {
            "/v1/predictions": self._single,
            "/v1/predictions/batch": self._batch,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        if exchange.body is None:
            raise RuntimeError("RequestLimits must be in front of InlinePrediction: it gathers the body.")
        try:
            content = await answer(exchange.body)
        except Exception as error:
            await answer_to(error, exchange.request_id)(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _single(self, body: bytes) -> bytes:
        answer = await self._turn.predict(parse(PredictionRequest, body).to_flight())
        return PredictionResponse.from_answer(answer, *self._versions).model_dump_json().encode()

    async def _batch(self, body: bytes) -> bytes:
        return await anyio.to_thread.run_sync(self._answered_batch, body)

    def _answered_batch(self, body: bytes) -> bytes:
        flights = [flight.to_flight() for flight in parse(BatchRequest, body).flights]
        answers = all_or_first_refusal(self._service.predict_each(flights))
        shown = [PredictionResponse.from_answer(answer, *self._versions) for answer in answers]
        return BatchResponse.model_construct(predictions=shown).model_dump_json().encode()
