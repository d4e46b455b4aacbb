"""The finished service loads what it serves with, and nothing of what it was trained with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from awaiting import PATIENCE
from services import FLIGHT, own_home, running

pytestmark = pytest.mark.slow

TRAINING = ("duckdb", "onnx", "pandas", "pandera", "pyarrow", "scipy", "sklearn", "skl2onnx", "threadpoolctl")


def imported(folder: Path, lesson: int) -> set[str]:
    """Top-level names of every module that making the application imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from labserver.stages.server import create; create()"],
        env=os.environ | {"LABSERVER_HOME": str(folder), "LABSERVER_LESSON": str(lesson)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return {name.split(".")[0] for name in re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE)}


def test_the_finished_service_imports_no_training_library(home: Path, tmp_path: Path) -> None:
    finished = imported(own_home(home, tmp_path / "9"), 9)
    assert {"onnxruntime", "numpy", "fastapi", "labserver"} <= finished
    assert not finished & {*TRAINING, "joblib"}


def test_a_teaching_stage_does(home: Path, tmp_path: Path) -> None:
    """Or the test above could not fail. Until stage 6 scikit-learn is imported by the pickle of each request."""
    assert {"pandas", "sklearn", "duckdb"} & imported(own_home(home, tmp_path / "4"), 4) == {"pandas", "duckdb"}
    assert {"pandas", "sklearn"} <= imported(own_home(home, tmp_path / "6"), 6)


def test_none_is_mapped_after_every_kind_of_request(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path)) as service:
        assert service.post("/v1/predictions", FLIGHT).status_code == 200
        assert service.post("/v1/predictions/batch", {"flights": [FLIGHT] * 5}).status_code == 200
        assert service.post("/v1/features/vector", FLIGHT).status_code == 200
        assert service.post("/v1/outcomes", {"id": "0" * 32, "arrival_delay_minutes": 1}).status_code == 202
        for path in ("/v1/features", "/v1/model", "/docs", "/openapi.json", "/readyz"):
            assert service.get(path).status_code == 200
        mapped = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert "/onnxruntime/" in mapped
    assert not [name for name in TRAINING if f"/{name}/" in mapped or f"/{name}." in mapped or f"/_{name}" in mapped]
