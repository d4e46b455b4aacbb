"""What a learner sees first: JupyterLab on notebook 00, all of it runs, and the tile shows the service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import configure
from playwright.sync_api import FrameLocator, Page, expect
from running import free_port
from started import Started, environment, started

from labserver.capacity.process import Server
from labserver.capacity.process import started as process

NOTEBOOK = "work/notebooks/00_separate_model_and_features.ipynb"
RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
CELLS = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    return { dirty: panel.context.model.dirty, path: panel.context.path, cells: panel.context.model.toJSON().cells };
}"""


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """``lab start``; killed at the end, which must end JupyterLab, its kernel, and the stages that the kernel started."""
    folder = tmp_path_factory.mktemp("lab")
    learner = environment(home, folder, LAB_WORK=str(folder / "course" / "work"))
    configure(folder / "config")
    with started(learner) as lab:
        yield lab
        assert len(lab.processes()) >= 4
        lab.end(signal.SIGKILL)


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_function("() => window.jupyterapp && window.jupyterapp.shell.currentWidget?.context?.isReady")


def test_notebook_0_runs_from_top_to_bottom(lab: Started, page: Page, pictures: Path) -> None:
    opened(page, lab.jupyter)
    assert lab.token not in page.title()
    page.wait_for_timeout(1_000)
    expect(page.locator(".jp-toast, .Toastify__toast")).to_have_count(0)  # no question about news
    page.screenshot(path=pictures / "jupyterlab-first.png")
    expect(page.locator(".jp-DirListing-content")).to_contain_text("09_monitor")  # the notebook's own folder
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.content.widgets.every(cell => !cell.promptNode"
        " || cell.model.type !== 'code' || cell.model.executionCount !== null)", timeout=150_000)
    page.screenshot(path=pictures / "jupyterlab-run.png")
    seen = page.evaluate(CELLS)
    code = [cell for cell in seen["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 20
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"] == []


def tile(page: Page) -> FrameLocator:
    """The service's page, opened by its tile."""
    page.evaluate("() => window.jupyterapp.commands.execute('launcher:create')")
    card = page.locator(".jp-LauncherCard", has_text="Lab service")
    expect(card.locator("img, svg").first).to_be_visible()
    card.click()
    frame = page.frame_locator("iframe")
    expect(frame.locator("#connection")).to_have_attribute("data-state", "live", timeout=90_000)
    return frame
