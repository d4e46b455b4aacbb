"""Known failures of Python, pip and uv by their output, and what a person can do about each."""

import os
import re
import shutil
import sys
from pathlib import Path

from exercises.lab.set_up.environment import ROOT

RUN_SETUP_AGAIN = "then run `make setup` again"
CERTIFICATE = "CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate"
KNOWN_FAILURES = (
    (
        CERTIFICATE,
        "This machine does not trust the certificate of the package index, as happens on networks that inspect TLS: "
        f"set PIP_CERT and SSL_CERT_FILE to the file with your network's certificates, {RUN_SETUP_AGAIN}.",
    ),
    (
        r"No space left on device|Disk quota exceeded|os error (28|122)\b",
        f"No space is left on the disk ({{fullest}}), and .venv takes 1.6 GB: make room, {RUN_SETUP_AGAIN}.",
    ),
    (
        "Failed to initialize cache",
        f"uv cannot write its cache at {{path}}: set UV_CACHE_DIR to a folder that you can write, {RUN_SETUP_AGAIN}.",
    ),
    (
        "Permission denied|Read-only file system|Operation not permitted",
        "{path} cannot be written: copy the course to a folder of yours, or remove what another user has made there "
        f"(`sudo rm -rf .venv`), {RUN_SETUP_AGAIN}.",
    ),
    (
        "(?i)hash mismatch|do not match the hashes",
        "A downloaded package is not the one in requirements.txt, so something on the way has changed it: try another "
        f"network or package index, {RUN_SETUP_AGAIN}.",
    ),
    (
        "(?i)from versions: none|connection ?error|resolution|dns error|unreachable|timed out|connection refused|proxy|"
        "failed to fetch|failed to download|error sending request|network was disabled",
        "The package index cannot be reached: check the network, or set PIP_INDEX_URL and UV_DEFAULT_INDEX to an index "
        f"that you can reach, {RUN_SETUP_AGAIN}.",
    ),
)
"""Advice by output. The first that matches counts: a certificate problem also looks like an unreachable index."""


class Failed(Exception):
    """An error with a sentence on what a person has to do before the set-up can go on."""


class CommandFailed(Exception):
    """A command failed; holds its output."""


def explained(printed: str) -> str:
    """A sentence with advice on a failure. The output of an unknown failure is shown as it is."""
    for pattern, sentence in KNOWN_FAILURES:
        found = re.search(pattern, printed)
        if found:
            line = printed[printed.rfind("\n", 0, found.start()) + 1 :].split("\n")[0]
            path = re.search("[`'\"](/[^`'\"]+)", line)
            return sentence.format(path=path.group(1) if path else ROOT, fullest=_fullest())
    *shown, last = printed.splitlines()[-15:]
    print("\n".join(shown), file=sys.stderr)
    return last


def _fullest() -> str:
    """The disk with the least space, of those that a set-up writes to."""
    cache = os.environ.get("UV_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home())
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 tempfile finds none on a full disk
    free = []
    for folder in (ROOT, Path(cache), Path(temporary)):
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free.append((shutil.disk_usage(str(there)).free, str(there)))
    least, fullest = min(free)
    return f"{fullest}: {least / 1e6:.0f} MB free"
