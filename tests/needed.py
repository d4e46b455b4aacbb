"""Tools that tests need beyond PyPI. A test whose tool is missing is skipped; in CI, which installs it, it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """End the test: skipped with the reason, or failed where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def needed(command: str, package: str) -> str:
    """The path of a command. Ends the test if it is not here."""
    path = shutil.which(command)
    return path or absent(f"{command} is not here. Install it: on Debian `apt-get install {package}`.")
