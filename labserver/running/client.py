"""Calls a running service, and makes sure that it is the right one."""

from __future__ import annotations

import json
import re
from typing import Any

import urllib3

from labserver.errors import LabError
from labserver.homes import identity
from labserver.model.bundle import load_bundle
from labserver.settings import Settings

ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
CONNECTIONS = 16
RETRY_WHEN_BUSY = urllib3.Retry(
    connect=0, read=0, redirect=0, status=10, status_forcelist=(503,), allowed_methods=None, raise_on_status=False
)
"""Retries. A 503 means that nothing was done and that the client should retry: a POST can be sent again."""


class Client:
    """Calls the live service over kept-alive connections; safe for several threads."""

    def __init__(self, url: str, api_key: str | None) -> None:
        """``url`` is the service's address, such as ``"http://127.0.0.1:8000"``.

        Raises:
            LabError: if it is not an address.
        """
        if not ADDRESS.fullmatch(url):
            raise LabError(f"{url!r} is not an address. Write it as http://127.0.0.1:8000.")
        self.url = url.rstrip("/")
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": api_key} if api_key else {})
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, headers=headers, retries=RETRY_WHEN_BUSY, timeout=30.0)

    @classmethod
    def from_settings(cls, settings: Settings, url: str) -> Client:
        """The headers of every request, with the key of the settings."""
        return cls(url, settings.api_key.get_secret_value() if settings.api_key else None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a POST. Raises as :meth:`get` does."""
        return self._call("POST", path, json.dumps(body))

    def get(self, path: str) -> dict[str, Any]:
        """The answer to a GET.

        Raises:
            LabError: if nothing listens there, the answer is an error, or it comes from a different program; quotes it.
        """
        return self._call("GET", path, None)

    def _call(self, method: str, path: str, body: str | None) -> dict[str, Any]:
        try:
            answer = self._pool.request(method, self.url + path, body=body)
        except urllib3.exceptions.HTTPError:
            raise LabError(
                f"No service answers at {self.url}. Start one with `lab start` or `labserver serve`."
            ) from None
        try:
            parsed: dict[str, Any] = dict(answer.json())
        except (ValueError, TypeError):
            raise LabError(f"The program that answers at {self.url} is not a service of this course.") from None
        if answer.status == 401:
            raise LabError(f"The service at {self.url} needs a key. Set LABSERVER_API_KEY to it.")
        if answer.status >= 400:
            raise LabError(f"{self.url}{path} answered {answer.status}: {parsed.get('detail', '')}")
        return parsed


def check_same_home(client: Client, settings: Settings) -> None:
    """Make sure that the service works on this home folder, with the bundle that is in it.

    Raises:
        LabError: if it works on a different one, or does not report it; says what to do.
    """
    shown = client.get("/v1/monitor")
    home, bundle = shown.get("home"), shown.get("bundle")
    if not home or not isinstance(bundle, dict):
        raise LabError(f"The program that answers at {client.url} is not a service of this course, or an older one.")
    if home != identity(settings.state):
        raise LabError(
            f"The service at {client.url} uses a different home folder than this command ({settings.home}). "
            "Name your own service with --url or LABSERVER_URL, or its folder with LABSERVER_HOME. "
            "`labserver serve` starts one on this folder."
        )
    if bundle.get("hash") != load_bundle(settings.bundle).manifest["bundle_hash"]:
        raise LabError(f"The service at {client.url} was started before the last `labserver build`. Start it again.")
