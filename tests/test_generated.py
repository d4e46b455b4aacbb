from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from generated import EXTRAS, LOCK, ROOT, SERVING_LOCK, environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name(requirement: str) -> str:
    return re.split(r"[<>=!~\[ ;]", requirement)[0].lower().replace("_", "-")


def wanted(*extras: str) -> set[str]:
    """Names of what pyproject.toml asks for: the base dependencies, and those of these extras."""
    groups = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {name(requirement) for group in groups for requirement in group}


def test_the_readme_says_why_each_dependency_is_there() -> None:
    paragraph = (ROOT / "README.md").read_text().split("## Dependencies, and why")[1].split("\n## ")[0]
    said = set(re.findall(r"[a-z0-9][a-z0-9-]*[a-z0-9]", paragraph.lower()))
    assert wanted(*EXTRAS) - said == set()


def test_environment_yml_is_generated() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert text == environment()
    assert "python=3.12" in yaml.safe_load(text)["dependencies"]


@pytest.mark.parametrize(("lock", "extras"), [(LOCK, EXTRAS), (SERVING_LOCK, ())])
def test_locks_pin_and_hash_every_dependency_and_name_no_index(lock: object, extras: tuple[str, ...]) -> None:
    text = lock.read_text()  # type: ignore[attr-defined]
    locked = {name(line) for line in text.splitlines() if re.match(r"[a-z0-9]", line)}
    assert wanted(*extras) <= locked
    assert text.count("--hash=sha256:") > len(locked)
    assert "://" not in text
    if not extras:
        assert not locked & {"scikit-learn", "pandas", "duckdb", "skl2onnx", "pyarrow"}
