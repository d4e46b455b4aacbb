"""``lab ask``: sends the running service one request, and shows the same request for curl."""

from __future__ import annotations

import json
from typing import Any

from labserver.errors import LabError
from labserver.running.announcement import service_address
from labserver.running.client import Client
from labserver.settings import settings

DECISION_WORDS = {"warn": "warn the passengers", "no_warning": "no warning"}


def running() -> Client:
    """The running service.

    Raises:
        LabError: if no service answers; says how to start one.
    """
    client = Client.from_settings(settings(), service_address(settings()))
    client.get("/healthz")
    return client


def example(client: Client) -> dict[str, Any]:
    """The interface's own example: a flight that departs two hours after the service's clock.

    Raises:
        LabError: if the service has no such example.
    """
    try:
        [flight] = client.get("/openapi.json")["components"]["schemas"]["PredictionRequest"]["examples"]
        return dict(flight)
    except (KeyError, TypeError, ValueError):
        raise LabError(
            f"The service at {client.url} shows no example. It is another version: start it again."
        ) from None


def answered(client: Client) -> str:
    """The request, the answer, and an explanation of the answer.

    Raises:
        LabError: if the service rejects the flight; quotes its answer.
    """
    flight = example(client)
    answer = client.post("/v1/predictions", flight)
    body = json.dumps(flight)
    return f"""curl -s {client.url}/v1/predictions -H 'Content-Type: application/json' -d '{body}'

{json.dumps(answer, indent=2)}

{sentence(answer)}"""


def sentence(answer: dict[str, Any]) -> str:
    """An answer in words."""
    late = (
        f"{answer['probability']:.1%} likely to arrive more than 15 minutes late: {DECISION_WORDS[answer['decision']]}."
    )
    if not answer["stale"]:
        return f"{late} Every value behind it is fresh."
    return (
        f"{late} {len(answer['stale'])} values behind it are older than they should be at the time of the prediction."
    )
