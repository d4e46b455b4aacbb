"""Requests that arrive together are answered together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from services import FLIGHT, Running, awaited, own_home, running

pytestmark = pytest.mark.slow

DESTS = ("ORD", "IAH", "SFO", "MIA", "ATL", "BOS", "ZZZ", "DEN")


async def pipelined(service: Running, bodies: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """All bodies sent at once, a connection each, before any answer is read."""
    port = int(service.url.rsplit(":", 1)[1])
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in bodies]
    for (_, writer), body in zip(streams, bodies, strict=True):
        content = json.dumps(body).encode()
        head = (
            "POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + content)
    answers = []
    for reader, writer in streams:
        head_text, _, content = (await reader.read()).partition(b"\r\n\r\n")
        answers.append((int(head_text.split()[1]), json.loads(content)))
        writer.close()
    return answers


def test_each_of_many_at_once_gets_the_answer_it_would_get_alone(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path)) as service:
        bodies = [{**FLIGHT, "dest": dest} for dest in DESTS] * 6
        alone = {body["dest"]: service.post("/v1/predictions", body) for body in bodies[:8]}
        answers = awaited(pipelined(service, bodies))
    for body, (status, answer) in zip(bodies, answers, strict=True):
        expected = alone[body["dest"]]
        assert status == expected.status_code
        ignored = {"id", "request_id"}
        assert {k: v for k, v in answer.items() if k not in ignored} == {
            k: v for k, v in expected.json().items() if k not in ignored
        }
    assert alone["ZZZ"].json()["errors"][0]["field"] == "dest"
    ids = [answer["id"] for status, answer in answers if status == 200]
    assert len(set(ids)) == len(ids) == 42
