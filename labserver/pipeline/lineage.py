"""Where a bundle comes from: its code, its data, and who built it."""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labserver import __version__
from labserver.model.bundle import Bundle, sha256
from labserver.model.registry import Entry
from labserver.pipeline.sources.warehouse import source_files
from labserver.settings import ROOT, Settings

UNKNOWN = "unknown"


def operator(settings: Settings) -> str:
    """Who runs this command: LABSERVER_OPERATOR, else the login name, else the number of the user."""
    if settings.operator:
        return settings.operator
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return str(os.getuid())


def revision() -> str:
    """Git's commit, 40 hex digits, with ``-dirty`` if a file differs from it; "unknown" outside of a clone."""
    if not (ROOT / ".git").exists():
        return UNKNOWN
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return done.stdout.strip() or UNKNOWN


def data_hash() -> str:
    """SHA-256 over the names and hashes of the source files, in hex.

    Raises:
        LabError: if the package that holds them is not installed.
    """
    hashes = {path.name: sha256(path) for path in source_files().values()}
    return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)).encode()).hexdigest()


def entry_of(manifest: Mapping[str, Any]) -> Entry:
    """A bundle that was found, with what its manifest says.

    Raises:
        KeyError: if the manifest names no hash or no version.
    """
    scores = manifest.get("metrics", {}).get("model", {})
    return Entry(
        bundle_hash=manifest["bundle_hash"],
        model_version=manifest["model_version"],
        features_version=manifest["features_version"],
        built_at=manifest["built_at"],
        auc=scores.get("auc"),
        brier=scores.get("brier"),
    )


def lineage(bundle: Bundle, settings: Settings, why: str) -> Entry:
    """A bundle that this process has built.

    Raises:
        LabError: see :func:`data_hash`.
    """
    return replace(
        entry_of(bundle.manifest),
        package_version=__version__,
        revision=revision(),
        data_hash=data_hash(),
        built_by=operator(settings),
        why=why,
    )
