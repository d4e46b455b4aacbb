"""Builds of images one after the other: podman 4.3 loses a build's container while another build ends."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from filelock import FileLock


def engine_alone() -> FileLock:
    """Other workers of pytest-xdist, and other runs of this user, wait until its block ends."""
    return FileLock(Path(tempfile.gettempdir()) / f"labserver-engine-{os.getuid()}.lock")
