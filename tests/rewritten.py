"""Bundles for tests: the files of one, written as another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from labserver.model.bundle import BUNDLE_FILES, Bundle, write_bundle


def rewrite(link: Path, bundle: Bundle, other: Mapping[str, bytes] = MappingProxyType({}), **changes: object) -> str:
    """Write the files of a bundle as a bundle of its own, with other files or other entries in the manifest."""

    def fill(target: Path) -> None:
        for name in BUNDLE_FILES:
            (target / name).write_bytes(other[name] if name in other else (bundle.path / name).read_bytes())

    kept = {key: value for key, value in bundle.manifest.items() if key not in {"format", "files", "bundle_hash"}}
    return write_bundle(link, kept | changes, fill)
