"""environment.yml: conda can read it, and what its pip section installs runs the course where nothing else is."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from lock import ROOT
from needed import absent
from rattler import Channel, MatchSpec, Version, VersionSpec

pytestmark = pytest.mark.slow

ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
*CONDA, PIP = ENVIRONMENT["dependencies"]
UV = Path(sys.executable).parent / "uv"


def test_conda_can_read_every_line() -> None:
    """Strictly. Of ``python``, repo2docker understands one ``=`` and nothing else."""
    specs = {line: MatchSpec(line, strict=True, exact_names_only=True) for line in CONDA}
    names = [re.split("[=<>! ]", line)[0] for line in specs]
    assert names == ["python", "pip", "make"]
    assert [str(spec.version) for spec in specs.values() if spec.version] == ["3.12.*"]
    assert CONDA[0] == "python=3.12"
    assert [Channel(name).name for name in ENVIRONMENT["channels"]] == ["conda-forge"]
    assert set(ENVIRONMENT) == {"name", "channels", "dependencies"}


def test_its_python_is_one_that_the_workflow_tries() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    wanted = VersionSpec(str(MatchSpec(CONDA[0]).version))
    assert any(wanted.matches(Version(one)) for one in workflow["jobs"]["test"]["strategy"]["matrix"]["python"])


def imported() -> set[str]:
    """Packages that the cells of the notebooks and the modules beside them import, less Python's own."""
    beside = sorted((ROOT / "notebooks").glob("*.py"))
    sources = [path.read_text() for path in beside]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        sources += [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    names = {name.split(".")[0] for source in sources for name in _imports(ast.parse(source))}
    return names - sys.stdlib_module_names - {path.stem for path in beside} - {"pytest"}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Without any variable of this process that could provide a package. Byte code is kept for the next run."""
    lending = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "UV_PROJECT_ENVIRONMENT"}
    lending |= {"PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in lending}
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=kept | {"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with what environment.yml has pip install; from uv's cache if all is there."""
    folder = tmp_path_factory.mktemp("conda")
    if not UV.exists():
        absent("uv is not beside this Python. `make setup` puts it there.")
    requirements, environment = folder / "requirements.txt", folder / "environment"
    requirements.write_text("\n".join(PIP["pip"]) + "\n")
    made = run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    assert made.returncode == 0, made.stderr
    install = [UV, "pip", "install", "--quiet", "--python", environment / "bin/python", "--requirement", requirements]
    if run(*install, "--offline").returncode:
        online = run(*install)
        assert "No solution found" not in online.stderr, online.stderr
        if online.returncode:
            absent(f"Run this test with a package index that answers. uv says: {online.stderr[-500:]}")
    return environment


@pytest.mark.ci
@pytest.mark.parametrize("command", ["labserver", "lab"])
def test_the_commands_run_in_a_clean_environment(clean: Path, command: str) -> None:
    done = run(clean / "bin" / command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.ci
def test_the_notebooks_find_every_package_in_a_clean_environment(clean: Path) -> None:
    names = sorted(imported() | {"ipykernel", "jupyterlab"})
    assert {"duckdb", "exercises", "labserver", "matplotlib", "pandas", "pyinstrument", "sklearn"} <= set(names)
    ask = f"import importlib, json, sys; print(json.dumps([importlib.import_module(n).__file__ for n in {names}]))"
    done = run(clean / "bin/python", "-c", ask)
    assert done.returncode == 0, done.stderr
    for name, file in zip(names, json.loads(done.stdout), strict=True):
        home = ROOT if name in ("exercises", "labserver") else clean
        assert Path(file).is_relative_to(home), file
    lent = run(clean / "bin/python", "-c", f"import sys; sys.exit({str(ROOT / '.venv')!r} in ' '.join(sys.path))")
    assert lent.returncode == 0


@pytest.mark.ci
def test_the_doctor_gives_conda_users_the_command_of_conda(clean: Path) -> None:
    """conda leaves its mark in ``conda-meta``. The lock is not what it installs, so other versions are well."""
    (clean / "conda-meta").mkdir(exist_ok=True)
    assert re.search(r"✔ packages +all \d+ installed", run(clean / "bin/lab", "doctor").stdout)
    removed = run(UV, "pip", "uninstall", "--quiet", "--python", clean / "bin/python", "papermill")
    assert removed.returncode == 0, removed.stderr
    said = run(clean / "bin/lab", "doctor").stdout
    assert re.search(r"✘ packages +not installed: papermill\s+conda env update --file environment.yml", said)
    assert "make setup" not in said
