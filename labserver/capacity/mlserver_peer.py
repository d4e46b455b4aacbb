"""MLServer with the same model, for comparison: a model server that is widely used. It gets computed features.

MLServer 1.7 needs an old Starlette, so it has its own environment, ``mlserver-venv`` in the home folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import urllib3

from labserver.errors import LabError
from labserver.model.bundle import load_bundle
from labserver.model.panel import TOLERANCE
from labserver.running.process import Server, free_port, started
from labserver.settings import Settings

PEER_NAME = "MLServer 1.7"
PEER_PATH = "/v2/models/delay/infer"
PEER_READY_PATH = "/v2/models/delay/ready"
PACKAGES = ("mlserver==1.7.*", "onnxruntime")


def install(home: Path) -> Path:
    """Make the environment unless it is there, and return its ``bin`` folder. Downloads about 300 MB once.

    Raises:
        LabError: if uv is missing or the installation fails; quotes the reason.
    """
    environment = home / "mlserver-venv"
    programs = environment / "bin"
    if (programs / "mlserver").exists():
        return programs
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise LabError("uv is not installed; it makes MLServer's environment. Run `make setup`.")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(programs / "python"), *PACKAGES],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"MLServer could not be installed: {' '.join(done.stderr.split())[-400:]}")
    return programs


@contextmanager
def running_mlserver(settings: Settings, programs: Path, cores: Sequence[int]) -> Iterator[Server]:
    """MLServer with the bundle's model, in one process like our worker; see ``labserver.running.process.started``.

    Raises:
        LabError: if it does not become ready; quotes the end of its log.
    """
    folder = settings.home / "mlserver"
    folder.mkdir()
    port = free_port()
    shutil.copy(Path(__file__).with_name("mlserver_runtime.py"), folder)
    model = {
        "name": "delay",
        "implementation": "mlserver_runtime.OnnxModel",
        "parameters": {"uri": str((settings.bundle / "model.onnx").resolve())},
    }
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "metrics_dir": str(folder),
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "settings.json").write_text(json.dumps(server))
    with started([str(programs / "mlserver"), "start", str(folder)], port, settings.home, cores=cores) as running:
        running.await_ready(PEER_READY_PATH)
        _check_answer(running, settings)
        yield running


def question(settings: Settings) -> str:
    """The first row of the bundle's golden panel as a V2 inference request."""
    vector = load_bundle(settings.bundle).golden.rows[0].tolist()
    tensor = {"name": "features", "shape": [1, len(vector)], "datatype": "FP32", "data": vector}
    return json.dumps({"inputs": [tensor]})


def _check_answer(running: Server, settings: Settings) -> None:
    """A comparison of two servers is one only if they answer the same."""
    headers = {"Content-Type": "application/json"}
    answer = urllib3.request("POST", running.url + PEER_PATH, body=question(settings), headers=headers)
    expected = float(load_bundle(settings.bundle).golden.probabilities[0])
    if answer.status != 200 or abs(answer.json()["outputs"][0]["data"][0] - expected) > TOLERANCE:
        raise LabError(f"MLServer does not answer {expected} for the bundle's first golden row: {answer.data!r}")
