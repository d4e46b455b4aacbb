"""The workflow that runs ``make test`` elsewhere: for every Python that we say we support, and with every tool."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from lock import EXTRAS, ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(name: str) -> dict[Any, Any]:
    return dict(yaml.safe_load((ROOT / ".github/workflows" / name).read_text()))


JOB = read("test.yml")["jobs"]["test"]
COMMANDS = "\n".join(step.get("run", "") for step in JOB["steps"])


def test_every_supported_python_is_tried() -> None:
    versions = JOB["strategy"]["matrix"]["python"]
    classifier = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    assert versions == [found[1] for said in PROJECT["classifiers"] if (found := classifier.fullmatch(said))]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert [int(version.split(".")[1]) for version in versions] == list(range(11, 11 + len(versions)))


def test_every_tool_that_a_test_needs_is_there() -> None:
    """As tests say it, ``needed("wrk", "wrk")``; here and in the house's own run."""
    calls = [re.findall(r'\bneeded\("(.+?)", "(.+?)"\)', file.read_text()) for file in ROOT.glob("tests/**/*.py")]
    packages = {package for found in calls for _, package in found}
    assert {"chromium", "prometheus", "wrk"} <= packages
    for package in packages | {"podman"}:
        assert re.search(rf"\b{package}\b", COMMANDS), package
        assert re.search(rf"\b{package}\b", (ROOT / ".ci/run").read_text()), package


def test_the_newest_versions_are_of_all_extras() -> None:
    assert f"--upgrade --compile-bytecode --editable '.[{','.join(EXTRAS)}]'" in COMMANDS
    called = read("newest.yml")["jobs"]["newest"]
    assert called == {"uses": "./.github/workflows/test.yml", "with": {"newest": True}}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_runs_what_nobody_can_exchange(path: Any) -> None:
    """An action by a commit, not by a tag that can move; no right beyond reading; nothing of others in a command."""
    workflow = read(path.name)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert "uses" in job or job["timeout-minutes"] <= 60
        for step in job.get("steps", []):
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step.get("uses", "actions/x@" + 40 * "0"))
            assert "${{" not in step.get("run", "")
