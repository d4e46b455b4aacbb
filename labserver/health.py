"""``python -m labserver.health``: the health check of the image. Exit code 0 if the service of this container is alive.

It asks without a proxy: engines put ``http_proxy`` into containers, and a proxy does not reach this one's loopback.
"""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 2.0


def status(port: int) -> int | str:
    """The status of ``/healthz`` on this machine, or why there is none."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


def main() -> None:
    """Ask the port of the settings; the default one, where Kubernetes has put an address there."""
    port = os.environ.get("LABSERVER_PORT", "")
    found = status(int(port) if port.isdecimal() else 8000)
    if found != http.client.OK:
        sys.exit(f"unhealthy: {found}")


if __name__ == "__main__":
    main()
