"""The identity of a service's home folder: tells folders apart without revealing their path."""

from __future__ import annotations

import hashlib
from pathlib import Path


def identity(state: Path) -> str:
    """16 hexadecimal digits that two processes share exactly if they write to the same ``state`` folder.

    Two homes with the same bundle differ in it, and a link to a folder, or a mount of it, does not. A folder that is
    not there has none: an empty string.
    """
    try:
        found = state.stat()
    except OSError:
        return ""
    return hashlib.sha256(f"{found.st_dev}:{found.st_ino}".encode()).hexdigest()[:16]
