"""Request bodies: JSON without duplicate keys, NaN or infinities."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import jiter
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from labserver.api.problems import Problem

Model = TypeVar("Model", bound=BaseModel)


def parse_json(body: bytes) -> Any:
    """The document.

    Raises:
        Problem: 400 if it is not JSON, or repeats a key: two readers would then disagree on what it says.
    """
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise Problem(
            400,
            "The body is not acceptable JSON.",
            [
                {
                    "field": "body",
                    "detail": str(error),
                    "allowed": "JSON without NaN, infinities or repeated keys",
                }
            ],
        ) from None


def parse(model: type[Model], body: bytes) -> Model:
    """Check a body against a model. Raises ``Problem`` or ``pydantic.ValidationError``."""
    return model.model_validate(parse_json(body))


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose body is read by :func:`parse_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            ours = _StrictRequest(request.scope, request.receive)
            if not await ours.body():
                parse_json(b"")
            return await handler(ours)

        return strict
