"""``lab start`` of somebody with a configuration of Jupyter and IPython: it neither opens JupyterLab nor changes it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from awaiting import PATIENCE
from services import awaited
from started import LAB, StartedLab, environment, started
from test_terminal import typed

OPEN = {"IdentityProvider": {"token": ""}, "ServerApp": {"token": "", "password": "", "allow_origin": "*"}}
"""Lets in everybody."""
MOVED = {
    "ServerApp": {
        "ip": "0.0.0.0",
        "port": 9999,
        "base_url": "/mine/",
        "root_dir": "/opt",
        "open_browser": True,
        "certfile": "/gone.pem",
        "sock": "/tmp/mine.sock",
        "jpserver_extensions": {"jupyterlab": False, "gone": True},
    },
    "FileContentsManager": {"root_dir": "/opt"},
    "KernelSpecManager": {"allowed_kernelspecs": ["other"]},
    "LabApp": {"default_url": "/tree"},
    "PasswordIdentityProvider": {"password_required": True, "hashed_password": "argon2:x"},
}
SAYS = "print('my own ' + 'startup'); sum = None; raise RuntimeError('mine')"


def configure(folder: Path, *contents: Mapping[str, object]) -> None:
    folder.mkdir(parents=True)
    names = ("jupyter_server_config.json", "jupyter_lab_config.json", "jupyter_notebook_config.json")
    for name, content in zip(names, contents, strict=False):
        (folder / name).write_text(json.dumps(content))


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedLab]:
    folder = tmp_path_factory.mktemp("lab")
    user = folder / "user"
    for place, contents in ((user / ".jupyter", (OPEN, MOVED)), (folder / "config", (MOVED, OPEN, MOVED))):
        configure(place, *contents)
    configure(folder / "more", MOVED, OPEN)
    (folder / "config/jupyter_server_config.py").write_text("raise RuntimeError('mine')\n")
    startup = user / ".ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(SAYS)
    (startup.parent / "ipython_config.py").write_text("get_config().InteractiveShellApp.exec_lines = ['sum = None']\n")
    variables = {
        "HOME": str(user),
        "JUPYTER_CONFIG_PATH": str(folder / "more"),
        "JUPYTER_TOKEN": "mine",
        "JUPYTER_PORT": "9999",
        "JUPYTER_IP": "0.0.0.0",
        "SHELL": "/bin/bash",
    }
    with started(environment(home, folder, **variables)) as lab:
        yield lab
        lab.end(signal.SIGKILL)


def answer(lab: StartedLab, path: str, token: str | None, **headers: str) -> requests.Response:
    headers |= {"Authorization": f"token {token}"} if token else {}
    address = urlsplit(lab.jupyter)._replace(path=path, query="").geturl()
    return requests.get(address, headers=headers, timeout=PATIENCE)


def test_the_address_and_the_token_work_and_no_other(lab: StartedLab) -> None:
    assert requests.get(lab.jupyter, timeout=PATIENCE).url == lab.jupyter
    notebook = answer(lab, "/api/contents/notebooks/00_separate_model_and_features.ipynb", lab.token)
    assert notebook.status_code == 200
    elsewhere = answer(lab, "/api/contents", None, Origin="http://elsewhere.example")
    assert elsewhere.status_code == 404
    assert "Access-Control-Allow-Origin" not in elsewhere.headers
    assert list(answer(lab, "/api/kernelspecs", lab.token).json()["kernelspecs"]) == ["python3"]
    for token in (None, "mine", "wrong"):
        assert answer(lab, "/api/contents", token).status_code == 403
    listening: set[str] = set()
    for process in lab.processes():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found = process.net_connections("inet")
            listening |= {connection.laddr.ip for connection in found if connection.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_ipython_runs_no_code_of_the_user(lab: StartedLab) -> None:
    shown = awaited(typed(lab, "python -m IPython -c 'print(sum([40, 2]))'; echo \"it $((1 + 1))\"", "it 2"))
    assert "42" in shown
    assert "my own startup" not in shown


def test_a_jupyterlab_that_is_open_all_the_same_is_not_started(home: Path, tmp_path: Path) -> None:
    learner = environment(home, tmp_path)
    configure(tmp_path / "work/.jupyterlab/config", OPEN)
    done = subprocess.run(LAB, env=learner, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "error: JupyterLab would let in anybody on this machine: a configuration says so." in done.stderr
    assert "token=" not in done.stdout + done.stderr
