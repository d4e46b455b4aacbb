"""The list of packages in the bundle is valid CycloneDX, complete, and the same at every build."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker

from labserver.model.bundle import SBOM, Bundle, to_json
from labserver.pipeline.sbom import LOCK, MARKER, is_of_this_lock, read_lock, sbom

ROOT = Path(__file__).parents[2]


def components(data: Any) -> dict[tuple[str, str], Any]:
    return {(component["name"], component["version"]): component for component in data["components"]}


def applies(component: Any) -> bool:
    """Whether the package is for this Python and platform."""
    markers = [entry["value"] for entry in component.get("properties", []) if entry["name"] == MARKER]
    return all(Marker(marker).evaluate() for marker in markers)


def test_it_passes_the_schema_of_cyclonedx(bundle: Bundle) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    text = (bundle.path / SBOM).read_text()
    assert validator.validate_str(text) is None
    broken = json.loads(text)
    del broken["components"][0]["name"]
    assert validator.validate_str(json.dumps(broken)) is not None


def test_its_packages_are_those_of_the_lock_with_every_hash(bundle: Bundle) -> None:
    text = LOCK.read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==([^ ;]+)", text, re.MULTILINE)
    listed = components(bundle.sbom)
    assert sorted(listed) == sorted(pinned)
    assert len(listed) > 30
    hashes = [entry for component in listed.values() for entry in component["hashes"]]
    assert {entry["alg"] for entry in hashes} == {"SHA-256"}
    assert sorted(entry["content"] for entry in hashes) == sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
    for (name, version), component in listed.items():
        assert component["purl"] == f"pkg:pypi/{name}@{version}"


def test_what_is_for_some_platforms_only_says_so(bundle: Bundle) -> None:
    listed = components(bundle.sbom)
    somewhere = re.findall(r"^([a-z0-9._-]+)==([^ ;]+) ; ", LOCK.read_text(), re.MULTILINE)
    assert somewhere
    for key, component in listed.items():
        assert (key in somewhere) == bool(component.get("properties"))


def test_what_it_lists_for_this_python_is_installed_here_and_once(bundle: Bundle) -> None:
    """Exact versions are compared in the image: a contributor may have newer ones."""
    here = [name for (name, _), component in components(bundle.sbom).items() if applies(component)]
    assert len(here) == len(set(here))
    assert {metadata.distribution(name).name.lower().replace("_", "-") for name in here} == set(here)


def test_what_labserver_asks_for_itself_is_named_as_such(bundle: Bundle) -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [own] = [entry for entry in bundle.sbom["dependencies"] if entry["ref"] == "labserver"]
    named = {re.sub(r"^pkg:pypi/|@.*$", "", ref) for ref in own["dependsOn"]}
    assert named == {re.split("[<>=]", line)[0] for line in asked}


def test_it_is_the_same_bytes_at_every_build(bundle: Bundle) -> None:
    made = to_json(sbom())
    assert made == to_json(sbom()) == (bundle.path / SBOM).read_bytes()
    assert not re.search(rb"20\d\d-\d\d-\d\dT|urn:uuid", made)


def test_it_knows_the_lock_that_it_was_made_from(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"numpy==2.0.0 \\\n    --hash=sha256:{'a' * 64}\n")
    made = sbom(lock)
    assert list(components(made)) == [("numpy", "2.0.0")]
    assert is_of_this_lock(made, lock)
    assert not is_of_this_lock(made)
    assert not is_of_this_lock({})


@pytest.mark.parametrize(
    "text",
    ["", "numpy>=2\n", "numpy==2.0.0\n", "numpy==2.0.0 \\\n    --hash=md5:aa\n", "-e .\n"],
    ids=["nothing", "not pinned", "without a hash", "another hash", "an option"],
)
def test_a_lock_that_pins_nothing_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a pinned package"):
        read_lock(text)
