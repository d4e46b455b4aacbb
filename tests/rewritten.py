"""Bundles for tests: the files of one, written as another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from labserver.model.bundle import BUNDLE_FILES, Bundle, activate, add_bundle


def added(home: Path, bundle: Bundle, other: Mapping[str, bytes] = MappingProxyType({}), **changes: object) -> str:
    """Write a bundle's files as a bundle of its own, with other files or entries in the manifest; give its name."""

    def fill(target: Path) -> None:
        for name in BUNDLE_FILES:
            (target / name).write_bytes(other[name] if name in other else (bundle.path / name).read_bytes())

    kept = {key: value for key, value in bundle.manifest.items() if key not in {"format", "files", "bundle_hash"}}
    return add_bundle(home, kept | changes, fill)[:16]


def rewrite(link: Path, bundle: Bundle, other: Mapping[str, bytes] = MappingProxyType({}), **changes: object) -> str:
    """The same, and make it the active one; its name."""
    name = added(link.parent, bundle, other, **changes)
    activate(link, name)
    return name
