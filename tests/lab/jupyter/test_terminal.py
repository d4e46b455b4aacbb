"""A terminal of JupyterLab, typed into as a learner does, and a notebook that was only opened."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Page, expect
from services import awaited
from started import StartedLab, environment, expose_application, started
from tornado.websocket import websocket_connect


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedLab]:
    """``lab start`` from a shell that does not have the environment's programs on its path."""
    folder = tmp_path_factory.mktemp("lab")
    programs = os.pathsep.join(
        place for place in os.environ["PATH"].split(os.pathsep) if not (Path(place) / "lab").exists()
    )
    learner = environment(home, folder, PATH=programs, SHELL="/bin/bash", HOME=str(folder))
    expose_application(learner)
    with started(learner) as lab:
        yield lab
        lab.end(signal.SIGKILL)


async def typed(lab: StartedLab, line: str, until: str) -> str:
    """The content of a new terminal after a line was typed into it."""
    address = urlsplit(lab.jupyter)
    headers = {"Authorization": f"token {lab.token}"}
    made = requests.post(f"http://{address.netloc}/api/terminals", headers=headers, timeout=30)
    made.raise_for_status()
    place = f"ws://{address.netloc}/terminals/websocket/{made.json()['name']}?token={lab.token}"
    socket = await websocket_connect(place)
    await socket.write_message(json.dumps(["stdin", f"{line}\r"]))
    shown = ""
    while until not in shown:
        message = await asyncio.wait_for(socket.read_message(), 60)
        assert isinstance(message, str), shown
        kind, text = json.loads(message)[:2]
        shown += text if kind == "stdout" else ""
    socket.close()
    return shown


def test_lab_is_a_command_in_a_terminal_of_jupyterlab(lab: StartedLab) -> None:
    shown = awaited(typed(lab, 'cd / && lab hint 0 && echo "it $((1 + 1))"', "it 2"))
    assert "Hint 1 of 3 for lesson 0" in shown
    assert "not found" not in shown


def test_a_notebook_that_was_only_opened_is_not_marked_as_changed(lab: StartedLab, page: Page) -> None:
    page.goto(lab.jupyter)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context.isReady")
    metadata = "() => window.jupyterapp.shell.currentWidget.context.model.toJSON().metadata.language_info.version"
    page.wait_for_function(metadata)
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.context.model.dirty") is False
