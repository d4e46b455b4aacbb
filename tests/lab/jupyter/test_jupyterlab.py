"""A learner's first steps: JupyterLab on notebook 00, all of it runs, and the tile shows the service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from awaiting import PATIENCE, until
from playwright.sync_api import FrameLocator, Locator, Page, TimeoutError, expect
from started import StartedLab, environment, expose_application, started

from exercises.checks.registry import ROOT
from exercises.lab.jupyterlab import jupyter_command
from exercises.lab.notebook_copies import SHIPPED_FOLDER
from labserver.model.bundle import load_bundle
from labserver.running import process

RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
DONE = """() => {
    const cells = window.jupyterapp.shell.currentWidget.context.model.toJSON().cells;
    const panel = window.jupyterapp.shell.currentWidget;
    const code = cells.filter(cell => cell.cell_type === "code");
    const failed = code.some(cell => cell.outputs.some(output => output.output_type === "error"));
    return failed || (code.at(-1).execution_count === code.length && code.every(cell => cell.execution_count)
        && panel.sessionContext.session.kernel.status === "idle");
}"""
CELLS = "() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells"


def other_kernel(folder: Path) -> Path:
    """Jupyter files of another program, whose kernel has the same name as the course's and starts nothing."""
    kernel = folder / "kernels/python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "Other", "language": "python"}))
    return folder


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedLab]:
    """``lab start``, killed at the end: JupyterLab, its kernel, and the stages that the kernel started end with it."""
    folder = tmp_path_factory.mktemp("lab")
    learner = environment(home, folder, JUPYTER_PATH=str(other_kernel(folder / "jupyter")))
    expose_application(learner)
    with started(learner) as lab:
        yield lab
        assert len(lab.processes()) >= 3
        lab.end(signal.SIGKILL)


def open_notebook(page: Page, lab: StartedLab) -> None:
    page.goto(lab.jupyter)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible()


def test_notebook_0_runs_from_top_to_bottom(lab: StartedLab, page: Page, pictures: Path) -> None:
    open_notebook(page, lab)
    assert lab.token not in page.title()
    expect(page.locator(".jp-DirListing-content")).to_contain_text("09_monitor")  # the notebook's own folder
    page.screenshot(path=pictures / "jupyterlab-first.png")
    page.evaluate(RUN_ALL)
    page.wait_for_function(DONE, timeout=900_000)
    code = [cell for cell in page.evaluate(CELLS) if cell["cell_type"] == "code"]
    page.screenshot(path=pictures / "jupyterlab-run.png")
    assert [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"] == []
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert len(code) > 20
    expect(page.get_by_text("Would you like to get notified")).to_have_count(0)  # the shipped defaults are active


LAUNCHER = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const launcher = await app.commands.execute("launcher:create");
    await launcher.revealed;
    return launcher.id;
}"""
TO_FRONT = "(id) => window.jupyterapp.shell.activateById(id)"


def click_in_panel(page: Page, panel: str, target: Locator) -> None:
    """Click what is in a panel of JupyterLab. A panel that loads meanwhile puts itself in front: then once more."""

    def clicked() -> bool:
        page.evaluate(TO_FRONT, panel)
        try:
            target.click(timeout=3_000)
        except TimeoutError:
            return False
        return True

    until(clicked, "Something is in front of it.")


def open_tile(page: Page) -> FrameLocator:
    """The service's page in a tab of JupyterLab, once it is live."""
    launcher = page.evaluate(LAUNCHER)
    card = page.locator(f'[id="{launcher}"] .jp-LauncherCard', has_text="Lab service").last
    click_in_panel(page, launcher, card)
    frame = page.frame_locator("iframe")
    expect(frame.locator("#connection")).to_have_attribute("data-state", "live")
    expect(frame.locator("#stage")).to_contain_text("Stage 9 of 9")
    frame.get_by_role("button", name="Predict").click()
    expect(frame.locator("#answer-status")).to_contain_text("likely to arrive")
    return frame


def test_the_tile_shows_the_running_service(lab: StartedLab, page: Page, pictures: Path) -> None:
    open_notebook(page, lab)
    before = predictions(lab)
    open_tile(page)
    page.screenshot(path=pictures / "jupyterlab-tile.png")
    until(lambda: predictions(lab) > before, "The service has seen no prediction.")
    assert predictions(lab) == before + 1


def predictions(lab: StartedLab) -> int:
    """As the service's monitor counts them: a moment after the answer."""
    return int(requests.get(f"{lab.service}/v1/monitor", timeout=PATIENCE).json()["predictions"]["total"])


@pytest.fixture
def hub(home: Path, tmp_path: Path) -> Iterator[str]:
    """JupyterLab as a hub starts it: under a user's prefix, no ``lab start`` anywhere. Gives the address of its lab."""
    learner = environment(home, tmp_path) | {"JUPYTER_TOKEN": "sesame", "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    expose_application(learner)
    port = process.free_port()
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--port", str(port)]
    command += ["--ServerApp.base_url=/user/ada/", f"--ServerApp.root_dir={tmp_path}"]
    with process.started(command, port, tmp_path, environment=learner) as server:
        server.await_ready("/user/ada/api")
        yield f"{server.url}/user/ada/"


def test_on_a_hub_the_tile_starts_a_service_that_only_its_user_reaches(hub: str, page: Page, pictures: Path) -> None:
    requested: list[str] = []
    page.goto(f"{hub}lab?token=sesame")
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget")
    page.on("request", lambda request: requested.append(request.url))
    frame = open_tile(page)
    page.screenshot(path=pictures / "jupyterlab-hub.png")
    links = frame.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert links
    assert all(address.startswith(f"{hub}lab-service/") for address in links)
    assert all(address.startswith((hub, "data:", "blob:")) for address in requested)

    page.goto(f"{hub}lab-service/docs")
    page.locator("#operations-health-readyz_readyz_get, .opblock", has_text="/readyz").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".request-url pre")).to_have_text(f"{hub}lab-service/readyz")
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    page.screenshot(path=pictures / "jupyterlab-docs.png")


def test_on_a_hub_a_kernel_starts_a_service_of_its_own(home: Path, tmp_path: Path) -> None:
    learner = environment(home, tmp_path) | {"PYTHONPATH": str(SHIPPED_FOLDER)}
    code = """import live; ask = live.service().get
print(ask("/readyz").json()["status"], ask("/v1/model").json()["bundle_hash"])"""
    kernel = [sys.executable, "-c", code]
    alone = subprocess.run(kernel, env=learner, capture_output=True, text=True, check=False)
    assert alone.returncode == 1
    assert "No lab service answers" in alone.stderr
    learner |= {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    done = subprocess.run(kernel, env=learner, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ok", load_bundle(home / "bundle").manifest["bundle_hash"]]


def test_jupyterlab_shows_the_whole_course_if_the_work_is_in_it(tmp_path: Path) -> None:
    notebook = "notebooks/00_separate_model_and_features.ipynb"
    inside, path = jupyter_command(1, ROOT / "work", False)
    assert path == f"/lab/tree/work/{notebook}"
    assert f"--ServerApp.root_dir={ROOT}" in inside
    outside, path = jupyter_command(1, tmp_path, True)
    assert path == f"/lab/tree/{notebook}"
    assert f"--ServerApp.root_dir={tmp_path}" in outside
    assert "--no-browser" not in outside
