"""The address of a running service: ``lab start`` announces its own in a file of Jupyter's runtime folder.

The file holds the addresses and JupyterLab's token, and only its user can read it: a token on a command line, or in a
file for everybody, would let every user of the machine run code as this one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from labserver.settings import Settings
from labserver.writing import write_whole


@dataclass(frozen=True)
class Announcement:
    """The announcement of one ``lab start``.

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
        """True if the process lives, the service answers with this bundle, and JupyterLab accepts this token."""
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


def service_address(chosen: Settings) -> str:
    """The service's address, for everything that calls it: ``LABSERVER_URL``, else the announcement of a running
    ``lab start``, else the default port of this machine. Something may or may not answer there.
    """
    if chosen.url:
        return chosen.url.rstrip("/")
    announced = find(chosen.home)
    return announced.service if announced else f"http://127.0.0.1:{chosen.port}"


def place(home: Path) -> Path:
    """The file for a home folder. Two courses on one machine do not know of each other."""
    from jupyter_core.paths import jupyter_runtime_dir  # not installed where only a service is

    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return Path(jupyter_runtime_dir()) / f"lab-start-{name}.json"


def find(home: Path) -> Announcement | None:
    """The ``lab start`` that runs on this home folder. A file that is left over, or another user's, does not count."""
    try:
        file = place(home)
        if file.stat().st_uid != os.geteuid():
            return None
        said = Announcement(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, ImportError):
        return None
    return said if said.home == str(home.resolve()) and said.answers() else None


def announce(said: Announcement) -> None:
    """Write the whole file, readable by its user alone from the first byte on."""
    file = place(Path(said.home))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(file, json.dumps(asdict(said), indent=1).encode(), mode=0o600)


def withdraw(said: Announcement) -> None:
    """Remove the file, if it is still that of this announcement."""
    file = place(Path(said.home))
    try:
        if json.loads(file.read_bytes())["pid"] == said.pid:
            file.unlink()
    except (OSError, ValueError, KeyError, TypeError):
        pass  # gone already, or not ours
