"""The software bill of materials (SBOM) of what serves: CycloneDX JSON, made from the lock that the image installs.

It has no time and no random number, so that the same lock gives the same bytes and the same bundle. Not in it: Python
and the packages of the base image's system, which are known once the base is chosen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from labserver import __version__, deploy

LOCK = Path(deploy.__file__).with_name("requirements.txt")
"""The packages that the image installs, with versions and hashes."""
LOCK_HASH = "labserver:requirements-sha256"
"""Property of the SBOM: SHA-256 of the lock that it was made from."""
MARKER = "labserver:marker"
"""Property of a package: where it is installed, as in the lock. Without one, everywhere."""
LINE = re.compile(r"(?P<name>[a-z0-9._-]+)(\[[a-z0-9,._-]+\])?==(?P<version>[^\s;]+)( ; (?P<marker>.+))?")


@dataclass(frozen=True)
class Locked:
    """A package of a lock.

    Attributes:
        name: as the index has it.
        version: pinned.
        marker: where it is installed, such as ``sys_platform == 'win32'``; empty for everywhere.
        hashes: SHA-256 of each of its files, in hex; each platform installs one of them.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def read_lock(text: str) -> list[Locked]:
    """The packages of a lock in the form of ``make lock``.

    Raises:
        ValueError: at a line that is neither a pinned package nor a hash.
    """
    packages = []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        head, *hashes = (line.strip() for line in entry.replace("\\\n", "\n").split("\n"))
        found = LINE.fullmatch(head)
        digests = [re.fullmatch("--hash=sha256:([0-9a-f]{64})", line) for line in hashes]
        if not found or not digests or not all(digests):
            raise ValueError(f"not a pinned package with hashes: {head}")
        marker = found["marker"] or ""
        packages.append(Locked(found["name"], found["version"], marker, tuple(d[1] for d in digests if d)))
    return packages


def sbom(lock: Path = LOCK) -> dict[str, Any]:
    """The SBOM of a lock, as JSON-ready data."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def component(package: Locked) -> Component:
        url = PackageURL("pypi", name=package.name, version=package.version)
        return Component(
            type=ComponentType.LIBRARY,
            name=package.name,
            version=package.version,
            purl=url,
            bom_ref=url.to_string(),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.hashes],
            properties=[Property(name=MARKER, value=package.marker)] if package.marker else [],
        )

    components = [component(package) for package in read_lock(lock.read_text())]
    service = Component(type=ComponentType.APPLICATION, name="labserver", version=__version__, bom_ref="labserver")
    bom = Bom(components=components)
    bom.metadata.component = service
    bom.metadata.properties.add(Property(name=LOCK_HASH, value=hashlib.sha256(lock.read_bytes()).hexdigest()))
    direct = _direct_dependencies()
    bom.register_dependency(service, [found for found in components if found.name in direct])
    data: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del data["serialNumber"], data["metadata"]["timestamp"]
    return data


def is_of_this_lock(data: Mapping[str, Any], lock: Path = LOCK) -> bool:
    """Whether an SBOM was made from the lock as it is now."""
    properties: Sequence[Mapping[str, str]] = data.get("metadata", {}).get("properties", [])
    named = {entry["name"]: entry["value"] for entry in properties}
    return named.get(LOCK_HASH) == hashlib.sha256(lock.read_bytes()).hexdigest()


def _direct_dependencies() -> set[str]:
    """Names of the packages that labserver itself asks for, to serve."""
    asked = (line for line in metadata.requires("labserver") or [] if "extra ==" not in line)
    return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in asked}
