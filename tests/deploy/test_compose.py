"""No compose engine is needed to see that compose.yaml and the image mean the same ports, folders and commands."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from needed import needed

from exercises.checks.containerfile import parse
from labserver import __version__
from labserver.settings import Settings

DEPLOY = Path(__file__).parents[2] / "labserver/deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
IMAGE = parse((DEPLOY / "Containerfile").read_text())
VARIABLES = {
    name: value
    for instruction in IMAGE.image()
    if instruction.keyword == "ENV"
    for name, _, value in (word.partition("=") for word in instruction.words)
}


def value(keyword: str) -> str:
    instruction = IMAGE.last(keyword)
    assert instruction is not None
    return instruction.value


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_is_locked_down_and_on_loopback(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert "privileged" not in service
    assert "network_mode" not in service
    tag = service["image"].rstrip("}").rpartition(":")[2]
    assert tag[:1] in "v0123456789"
    named = {mount.split(":")[0] for mount in service["volumes"] if not mount.startswith("./")}
    assert named <= set(COMPOSE["volumes"])
    bound = [mount.split(":") for mount in service["volumes"] if mount.startswith("./")]
    assert all(mode == "ro" and (DEPLOY / source).exists() for source, _, mode in bound)


def test_ports_folders_and_health_check_are_those_of_the_image() -> None:
    service = SERVICES["labserver"]
    [port] = service["ports"]
    assert port.rpartition(":")[2] == value("EXPOSE") == VARIABLES["LABSERVER_PORT"]
    assert service["volumes"] == [f"state:{value('VOLUME')}"]
    assert value("VOLUME") == str(Settings(home=Path(VARIABLES["LABSERVER_HOME"])).state)
    check = IMAGE.last("HEALTHCHECK")
    assert check is not None
    assert service["healthcheck"]["test"] == ["CMD", *json.loads(check.value.removeprefix("CMD "))]
    times = {name: str(setting) for name, setting in service["healthcheck"].items() if name != "test"}
    assert times == {name.replace("-", "_"): setting for name, setting in check.flags.items()}
    assert service["image"].endswith(f":{__version__}}}")


def test_the_service_has_time_to_drain() -> None:
    patience = float(VARIABLES["LABSERVER_DRAIN_SECONDS"]) + float(VARIABLES["LABSERVER_SHUTDOWN_SECONDS"])
    assert patience < 10, "podman stop and docker stop kill after 10 s"
    assert patience < float(SERVICES["labserver"]["stop_grace_period"].removesuffix("s"))


def test_prometheus_scrapes_the_service_and_finds_its_rules() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"labserver:{value('EXPOSE')}"]}]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["prometheus"]["volumes"])
    assert mounts["./prometheus.yml"] == "/etc/prometheus/prometheus.yml"
    for rules in config["rule_files"]:
        assert (DEPLOY / rules).is_file()
        assert mounts[f"./{Path(rules).parent}"] == f"/etc/prometheus/{Path(rules).parent}"


@pytest.mark.ci
def test_prometheus_itself_accepts_the_configuration() -> None:
    promtool = needed("promtool", "prometheus")
    done = subprocess.run(
        [promtool, "check", "config", "prometheus.yml"], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
