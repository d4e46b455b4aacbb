"""Errors as RFC 9457 problem documents. They name the allowed values, and never repeat the value that was sent."""

from __future__ import annotations

from collections.abc import Container, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from labserver.api.exchange import exchange_of
from labserver.api.schemas import ALLOWED
from labserver.errors import Refused, StoreUnavailable

MEDIA_TYPE = "application/problem+json"

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail", "allowed"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}, "allowed": {}},
            },
        },
    },
}
MEANINGS = {
    400: "Not JSON",
    401: "The API key is missing or wrong",
    408: "The request took too long",
    409: "Another outcome is on disk already",
    413: "The body is too large",
    415: "Not sent as application/json",
    422: "A field is not acceptable; the document names it and what is allowed",
    503: "Not now; try again",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of these statuses for the OpenAPI document, in FastAPI's form."""
    content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}
    return {status: {"description": MEANINGS[status], "content": content} for status in statuses}


class Problem(HTTPException):
    """An error to answer with. ``errors`` are objects with ``field``, ``detail`` and ``allowed``."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[dict[str, Any]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = errors


def problem_response(problem: Problem, request_id: str | None) -> JSONResponse:
    """The document for a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    if request_id:
        body["request_id"] = request_id
    return JSONResponse(body, problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE)


def from_validation(errors: Sequence[Any]) -> Problem:
    """Pydantic's findings, without the rejected input: it may be private, or not expressible in JSON."""
    listed = []
    for error in errors[:20]:
        place = [part for part in error["loc"] if part != "body"]
        names = [str(part) for part in place if not isinstance(part, int)]
        field = ".".join(str(part)[:64] for part in place) or "body"  # a name may be as long as the body
        listed.append(
            {
                "field": field,
                "detail": error["msg"],
                "allowed": ALLOWED.get(names[-1], ALLOWED.get(names[0], "see /docs"))
                if names
                else "a JSON object, see /docs",
            }
        )
    return Problem(422, f"{listed[0]['field']}: {listed[0]['detail']}", listed)


def to_problem(error: Exception) -> Problem:
    """The problem that a client gets for an error."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return Problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))
        case RequestValidationError():
            return from_validation(error.errors())
        case ValidationError():
            return from_validation(error.errors(include_input=False, include_url=False))
        case Refused():
            listed = [{"field": error.field, "detail": error.detail, "allowed": error.allowed}]
            return Problem(422, f"{error.field}: {error.detail}", listed)
        case ClientDisconnect():
            return Problem(400, "The body did not arrive.")
        case StoreUnavailable():
            return Problem(503, "The online store does not answer. Try again.", headers={"Retry-After": "1"})
    return Problem(500, "Internal error. Search the log for the request id.")


def answer_to(error: Exception, request_id: str | None) -> JSONResponse:
    """The document for an error; what is our own fault is logged."""
    problem = to_problem(error)
    if isinstance(error, StoreUnavailable):
        structlog.get_logger().error("store_unavailable", detail=str(error))
    elif problem.status_code == 500:
        structlog.get_logger().error("fault", request_id=request_id, kind=type(error).__name__, exc_info=error)
    return problem_response(problem, request_id)


def _by_route(error: HTTPException, path: str, paths: Container[str]) -> HTTPException:
    """What the router says, with what it does not know: the path that was meant, and that a HEAD is taken for a GET."""
    if error.status_code == 404 and path.rstrip("/") in paths:
        return Problem(404, f"Not found. There is {path.rstrip('/')}, without a slash at the end.")
    if error.status_code == 405 and "GET" in (allowed := (error.headers or {}).get("Allow", "")):
        return Problem(405, str(error.detail), headers={"Allow": allowed.replace("GET", "GET, HEAD")})
    return error


HANDLED_ERRORS = (
    HTTPException,
    RequestValidationError,
    ValidationError,
    Refused,
    ClientDisconnect,
    StoreUnavailable,
    Exception,
)


def install(app: FastAPI, paths: Container[str]) -> None:
    """Answer every error with a problem document. ``paths`` are those that exist."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, HTTPException):
            error = _by_route(error, request.scope["path"], paths)
        return answer_to(error, exchange_of(request.scope).request_id)

    for kind in HANDLED_ERRORS:
        app.add_exception_handler(kind, handle)
