"""Tests alert rules on made-up series with promtool, which evaluates as Prometheus does."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exercises.checks.doubt import KILLED_FROM_OUTSIDE, Unjudged
from exercises.checks.result import CheckFinding

RULES_FILE, TESTS_FILE = "rules.yml", "tests.yml"
PROMTOOL_SECONDS = 30
"""For promtool, which takes less than one."""


@dataclass(frozen=True)
class Case:
    """A test case: some series, and the alerts that a rule should make of them.

    Attributes:
        what: as a sentence that is true when it works.
        series: values a minute, by name with labels, in promtool's notation: ``0+5x90`` grows by 5 ninety times.
        minute: when to look.
        firing: the features for which it should be firing then.
        sent: the same for people.
        why: what it costs otherwise.
        mistake: short name.
    """

    what: str
    series: Mapping[str, str]
    minute: int
    firing: Sequence[str]
    sent: str
    why: str
    mistake: str


def promtool(folder: Path, *arguments: str) -> tuple[bool, str]:
    """Run promtool, which must be installed. Returns whether it passes, and its output.

    Raises:
        Unjudged: if it does not end, or was killed.
    """
    command = [shutil.which("promtool") or "promtool", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PROMTOOL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unjudged(
            f"promtool did not end within {PROMTOOL_SECONDS} s. Run it again, with less running beside it"
        ) from None
    if done.returncode == -signal.SIGKILL:
        raise Unjudged(KILLED_FROM_OUTSIDE)
    return done.returncode == 0, " ".join((done.stdout + done.stderr).split())


def installed() -> bool:
    """True if promtool is installed. It comes with Prometheus."""
    return shutil.which("promtool") is not None


def write(folder: Path, rule: Mapping[str, Any]) -> None:
    """The rule as a file, without what a test of its firing does not look at."""
    bare = {key: value for key, value in rule.items() if key not in ("labels", "annotations")}
    (folder / RULES_FILE).write_text(yaml.safe_dump({"groups": [{"name": "exercise", "rules": [bare]}]}))


def fired(said: str) -> str:
    """The alerts that promtool saw firing, for people."""
    got = said.partition("got:")[2]
    features = sorted(set(re.findall(r'feature="(\w+)"', got)))
    if features:
        return f"firing for {', '.join(features)}"
    return "firing, and it does not say for which feature" if "Labels" in got else "silence"


def tried(folder: Path, alert: str, case: Case) -> CheckFinding:
    """The rule in ``folder`` on the series of a case."""
    expected = [{"exp_labels": {"feature": feature}} for feature in case.firing]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": alert, "exp_alerts": expected}],
    }
    (folder / TESTS_FILE).write_text(
        yaml.safe_dump({"rule_files": [RULES_FILE], "evaluation_interval": "1m", "tests": [test]})
    )
    passed, said = promtool(folder, "test", "rules", TESTS_FILE)
    return CheckFinding(
        case.what,
        passed,
        sent=case.sent,
        received=fired(said) if "got:" in said else said[-300:],
        expected=f"firing for {', '.join(case.firing)} alone" if case.firing else "silence",
        why=case.why,
        mistake="" if passed else case.mistake,
    )
