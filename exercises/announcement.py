"""Where a running ``lab start`` is found: a file in Jupyter's runtime folder that only its user can read.

It holds the addresses and JupyterLab's token. A token on a command line, or in a file for everybody, would let every
user of the machine run code as this one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from jupyter_core.paths import jupyter_runtime_dir

from exercises.workspace import write_whole


@dataclass(frozen=True)
class Announcement:
    """What one ``lab start`` says of itself.

    Attributes:
        pid: of ``lab start``.
        home: the home folder of its service, resolved.
        bundle: the hash of the bundle that the service was started with.
        service: the service's address, such as ``"http://127.0.0.1:8000"``.
        jupyter: JupyterLab's address with its token; None if it was not started.
        token: JupyterLab's token.
    """

    pid: int
    home: str
    bundle: str
    service: str
    jupyter: str | None = None
    token: str = ""

    def answers(self) -> bool:
        """Whether the process lives, the service answers with this bundle, and JupyterLab takes this token."""
        asked = [(f"{self.service}/v1/model", {"X-API-Key": os.environ.get("LABSERVER_API_KEY", "")})]
        if self.jupyter:
            address = urlsplit(self.jupyter)._replace(path="/api/status", query="").geturl()
            asked.append((address, {"Authorization": f"token {self.token}"}))
        try:
            os.kill(self.pid, 0)
            with urllib3.PoolManager(retries=False, timeout=5.0) as pool:
                answers = [pool.request("GET", address, headers=headers) for address, headers in asked]
            return all(answer.status == 200 for answer in answers) and answers[0].json()["bundle_hash"] == self.bundle
        except (OSError, urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
            return False


def place(home: Path) -> Path:
    """The file for a home folder. Two courses on one machine do not know of each other."""
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return Path(jupyter_runtime_dir()) / f"lab-start-{name}.json"


def find(home: Path) -> Announcement | None:
    """The ``lab start`` that runs on this home folder. A file left behind, or written by somebody else, is none."""
    file = place(home)
    try:
        if file.stat().st_uid != os.geteuid():
            return None
        said = Announcement(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return said if said.home == str(home.resolve()) and said.answers() else None


def announce(said: Announcement) -> None:
    """Write the file, whole, readable by its user alone from the first byte on."""
    file = place(Path(said.home))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(file, json.dumps(asdict(said), indent=1).encode(), mode=0o600)


def withdraw(said: Announcement) -> None:
    """Remove the file, if it is still this one's."""
    file = place(Path(said.home))
    try:
        if json.loads(file.read_bytes())["pid"] == said.pid:
            file.unlink()
    except (OSError, ValueError, KeyError, TypeError):
        pass  # gone already, or not ours
