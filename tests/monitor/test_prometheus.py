"""The alert rules: their limits are the service's, their metrics exist, and a real Prometheus fires them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from awaiting import PATIENCE, until
from needed import needed
from services import FLIGHT, Running, end, own_home, running
from test_live import metrics, play

from labserver.monitor import thresholds
from labserver.pipeline.incidents import incident
from labserver.running.process import free_port

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "labserver/deploy"
RULES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
TESTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
NAMES = {rule["alert"] for rule in ALERTS}
WORDS = {
    *("sum", "max", "min", "rate", "increase", "histogram_quantile", "time", "and", "on", "by", "group_left"),
    "group_right",
}


def names_in(expression: str) -> set[str]:
    """Metrics that an expression reads: its identifiers without labels, windows and PromQL's own words."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    bare = re.sub(r"\b(by|on|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-z_][a-z0-9_:]*", bare)) - WORDS


def test_the_rules_pass_promtool() -> None:
    promtool = needed("promtool", "prometheus")
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    cases = [case for test in TESTS["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == NAMES
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == NAMES


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_each_alert_says_how_urgent_it_is_and_what_is_wrong(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["for"]  # no single scrape wakes anyone


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("FeatureJump", f">= {thresholds.DECISIONS_CHANGED}"),
        ("FeatureOutOfRange", f">= {thresholds.DECISIONS_CHANGED}"),
        ("ModelRanking", f"< {thresholds.AUC_LEAST}"),
        ("ModelBrier", f"> {thresholds.BRIER_MOST}"),
        ("ModelCalibration", f"> {thresholds.CALIBRATION_MOST}"),
        ("LabelJoinStalled", f"< {thresholds.JOIN_RATIO_LEAST}"),
    ],
)
def test_the_rules_have_the_services_limits(name: str, limit: str) -> None:
    assert any(limit in rule["expr"] for rule in ALERTS if rule["alert"] == name)


@pytest.fixture(scope="module")
def service(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(own_home(home, tmp_path_factory.mktemp("watched"))) as started:
        yield started


def test_every_metric_of_a_rule_is_exported_by_a_service_that_has_just_started(service: Running) -> None:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    read = {name for rule in rules for name in names_in(rule["expr"])} - recorded - {"up"}
    assert len(read) > 15
    assert read <= {name for name, *_ in metrics(service)}


@contextmanager
def prometheus(service: Running, folder: Path) -> Iterator[str]:
    """A real one that reads ``service`` each second. Of the rules only the waiting is shorter."""
    command = needed("prometheus", "prometheus")
    rules = re.sub(r"for: \w+", "for: 1s", (DEPLOY / "prometheus/alerts.yml").read_text())
    (folder / "prometheus").mkdir()
    (folder / "prometheus/alerts.yml").write_text(rules)
    configuration = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [job] = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [service.url.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                command,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        end(process)


def firing(api: str) -> set[tuple[str, str | None]]:
    answer = requests.get(f"{api}/alerts", timeout=PATIENCE).json()["data"]["alerts"]
    return {(a["labels"]["alertname"], a["labels"].get("feature")) for a in answer if a["state"] == "firing"}


def evaluated(api: str) -> datetime:
    """The time at which all rules were last evaluated."""
    groups = requests.get(f"{api}/rules", timeout=PATIENCE).json()["data"]["groups"]
    return min(datetime.fromisoformat(group["lastEvaluation"]) for group in groups)


def scraped(api: str) -> bool:
    """True if it has started, and has read the service."""
    try:
        answer = requests.get(f"{api}/query", params={"query": "sum(up)"}, timeout=PATIENCE)
    except requests.ConnectionError:
        return False
    found = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return bool(found) and found[0]["value"][1] == "1"


def test_a_real_prometheus_is_silent_on_a_quiet_day_and_fires_in_the_incident(service: Running, tmp_path: Path) -> None:
    with prometheus(service, tmp_path) as api:
        until(lambda: scraped(api), (tmp_path / "prometheus.log").read_text)
        groups = requests.get(f"{api}/rules", timeout=PATIENCE).json()["data"]["groups"]
        assert sum(len(group["rules"]) for group in groups) >= len(ALERTS)

        quiet = play(service, date(2013, 10, 7), 2, sample=0)
        assert service.post("/v1/predictions", FLIGHT | {"dest": "XXX"}).status_code == 422  # a client's fault
        until(lambda: service.get("/v1/monitor").json()["quality"]["joined"] == quiet.flights)
        now = datetime.now(UTC)
        until(lambda: evaluated(api) > now + timedelta(seconds=4))  # scraped, judged, and waited for
        assert firing(api) == set()

        play(service, date(2013, 10, 9), 1, sample=0, incident=incident("visibility-km"))
        assert until(lambda: firing(api)) == {("FeatureOutOfRange", "visibility")}
        health = requests.get(f"{api}/rules", timeout=PATIENCE).json()["data"]["groups"]
        assert {rule["health"] for group in health for rule in group["rules"]} == {"ok"}
