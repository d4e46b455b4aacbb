"""Alert rules on made-up series, by promtool, which judges as Prometheus does."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from exercises.result import Finding

RULES, TESTS = "rules.yml", "tests.yml"


@dataclass(frozen=True)
class Case:
    """A rule, and what it should do with some series.

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
    """Whether it is content, and what it says. It must be installed."""
    command = [shutil.which("promtool") or "promtool", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0, " ".join((done.stdout + done.stderr).split())


def installed() -> bool:
    """Whether promtool is here. It comes with Prometheus."""
    return shutil.which("promtool") is not None


def write(folder: Path, rule: Mapping[str, Any]) -> None:
    """The rule as a file, without what a test of its firing does not look at."""
    bare = {key: value for key, value in rule.items() if key not in ("labels", "annotations")}
    (folder / RULES).write_text(yaml.safe_dump({"groups": [{"name": "exercise", "rules": [bare]}]}))


def fired(said: str) -> str:
    """What promtool saw firing, for people."""
    got = said.partition("got:")[2]
    features = sorted(set(re.findall(r'feature="(\w+)"', got)))
    if features:
        return f"firing for {', '.join(features)}"
    return "firing, and it does not say for which feature" if "Labels" in got else "silence"


def tried(folder: Path, alert: str, case: Case) -> Finding:
    """The rule in ``folder`` on the series of a case."""
    expected = [{"exp_labels": {"feature": feature}} for feature in case.firing]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": alert, "exp_alerts": expected}],
    }
    (folder / TESTS).write_text(yaml.safe_dump({"rule_files": [RULES], "evaluation_interval": "1m", "tests": [test]}))
    passed, said = promtool(folder, "test", "rules", TESTS)
    return Finding(
        case.what,
        passed,
        sent=case.sent,
        received=fired(said) if "got:" in said else said[-300:],
        expected=f"firing for {', '.join(case.firing)} alone" if case.firing else "silence",
        why=case.why,
        mistake="" if passed else case.mistake,
    )
