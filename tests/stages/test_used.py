"""Every part that a stage lists is used by it: one that breaks is noticed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from awaiting import PATIENCE
from fastapi import FastAPI
from services import FLIGHT, own_home

from labserver.parts import Parts
from labserver.server import application
from labserver.settings import Settings
from labserver.stages.contents import CHANGES, GONE, LESSONS, active, parts_of_stage

pytestmark = pytest.mark.slow

PAIRS = [(lesson, part) for lesson in LESSONS for part in active(lesson)]
MADE_ONCE = {"catalogue", "loader", "threads", "inline"}
"""Parts that give something without methods: they break where they are made."""
NAMES = {
    "horizon": ["until"],
    "completion": ["apply"],
    "ranges": ["apply"],
    "decision": ["decide"],
    "predictor": ["probabilities"],
    "service": ["predict", "predict_each", "vector"],
    "admission": ["enter"],
    "drain": ["install"],
    "monitor": ["predicted"],
    "drift": ["judge"],
    "shadow": ["probabilities"],
}
"""Part to the methods that break."""


class Broken(RuntimeError):
    """What a broken part raises."""


class Watched:
    """A stage's own part that notes whether its methods are called, and may break when they are."""

    def __init__(self, part: Any, names: list[str], *, breaks: bool = False) -> None:
        self._part, self._names, self._breaks = part, names, breaks
        self.called = 0

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._part, name)
        if name not in self._names:
            return own

        def noting(*given: Any, **named: Any) -> Any:
            self.called += 1
            if self._breaks:
                raise Broken(name)
            return own(*given, **named)

        return noting


def watched(lesson: int, part: str, made: list[Watched], *, breaks: bool = False) -> Callable[..., Watched]:
    """A factory of the stage's own part, watched. The shadow is the finished model: a stage has none by itself."""
    whole: Callable[..., Any] = getattr(parts_of_stage(lesson), part)

    def factory(*given: Any) -> Watched:
        own = parts_of_stage(lesson).predictor(given[0], 1) if part == "shadow" else whole(*given)
        made.append(Watched(own, NAMES[part], breaks=breaks))
        return made[-1]

    return factory


async def answered(app: FastAPI, until: Callable[[], bool]) -> int:
    """The status of one prediction; then the application lives on until something happens."""
    body, status = json.dumps(FLIGHT).encode(), 0
    path = "/v1/predictions"
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(body)).encode()))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
    }
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    async with app.router.lifespan_context(app):
        try:
            await app(scope, receive, send)
        except Broken:
            status = status or 500
        end = time.monotonic() + PATIENCE
        while not until() and time.monotonic() < end:
            await asyncio.sleep(0.02)
    return status


def test_every_part_is_broken_somewhere() -> None:
    assert {part for _, part in PAIRS} == {field.name for field in fields(Parts)} == MADE_ONCE | set(NAMES)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_stage_uses_every_part_that_it_lists(home: Path, tmp_path: Path, lesson: int) -> None:
    made: list[Watched] = []
    parts = [part for part in active(lesson) if part in NAMES]
    own = {part: watched(lesson, part, made) for part in parts}
    app = application(Settings(home=own_home(home, tmp_path), lesson=lesson), parts_of_stage(lesson, own))
    assert asyncio.run(answered(app, lambda: all(part.called for part in made))) == 200
    assert len(made) == len(parts)
    assert all(part.called for part in made)


@pytest.mark.parametrize(("lesson", "part"), [pair for pair in PAIRS if pair[1] in MADE_ONCE])
def test_a_part_that_cannot_be_made_stops_the_start(home: Path, tmp_path: Path, lesson: int, part: str) -> None:
    def factory(*_: object) -> None:
        raise Broken(part)

    settings = Settings(home=own_home(home, tmp_path), lesson=lesson)
    with pytest.raises(Broken, match=part):
        application(settings, parts_of_stage(lesson, {part: factory}))


@pytest.mark.parametrize(
    ("lesson", "part"), [(c.lesson, c.part) for c in CHANGES if c.part in NAMES and c.factory != GONE]
)
def test_a_part_that_breaks_at_work_is_noticed(home: Path, tmp_path: Path, lesson: int, part: str) -> None:
    made: list[Watched] = []
    own = {part: watched(lesson, part, made, breaks=True)}
    app = application(Settings(home=own_home(home, tmp_path), lesson=lesson), parts_of_stage(lesson, own))
    if part == "drain":
        with pytest.raises(Broken):
            asyncio.run(answered(app, lambda: True))
        return
    status = asyncio.run(answered(app, lambda: made[0].called > 0))
    assert made[0].called
    assert status == (200 if part in {"drift", "shadow"} else 500)
