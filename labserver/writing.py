"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all. Until it is whole, only its user can read it."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(mode)
        Path(temporary).replace(file)
    except BaseException:  # Ctrl-C too
        Path(temporary).unlink(missing_ok=True)
        raise
