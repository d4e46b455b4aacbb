"""A reverse proxy that puts a service under a prefix and strips it again, as jupyter-server-proxy does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from awaiting import PATIENCE

PASSED_ON = ("content-type", "content-security-policy", "cache-control", "etag")


@contextmanager
def proxied(upstream: str, prefix: str) -> Iterator[str]:
    """The address of ``upstream`` under ``prefix``, which begins and ends with a slash."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(prefix):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            sent = {
                name: value for name, value in self.headers.items() if name.lower() in {"content-type", "x-api-key"}
            }
            url = upstream + self.path.removeprefix(prefix.rstrip("/"))
            answer = requests.request(self.command, url, data=body, headers=sent, timeout=PATIENCE)
            self.send_response(answer.status_code)
            for name in PASSED_ON:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815  (the base class calls it so)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
