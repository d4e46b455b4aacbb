"""The page's files and the headers that restrict the browser. Needs no browser."""

from __future__ import annotations

import re
from pathlib import Path

from services import Running


def test_files_come_with_their_types_and_strict_headers(service: Running) -> None:
    types = {
        "/": "text/html; charset=utf-8",
        "/page/dashboard.js": "text/javascript; charset=utf-8",
        "/page/dashboard.css": "text/css; charset=utf-8",
        "/page/vendor/uPlot.iife.min.js": "text/javascript; charset=utf-8",
        "/page/icon.svg": "image/svg+xml",
    }
    for path, media_type in types.items():
        answer = service.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        again = service.get(path, **{"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for path in (
        "/page/",
        "/page/index.html",
        "/page/vendor/README.md",
        "/page/%2e%2e/dashboard.py",
        "/page/nothing.js",
    ):
        assert service.get(path).status_code == 404


def test_the_page_has_no_inline_code_and_no_address_of_another_host() -> None:
    page = Path(__file__).parents[2] / "labserver/api/page"
    own = [file for file in page.iterdir() if file.suffix in {".html", ".css", ".js"}]
    assert len(own) > 5
    for file in own:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|(src|href|fetch\()\s*=?\s*[\"']/", text), file
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|Storage\b|cookie", text
        ), file
        assert not re.search(r"\son\w+\s*=\s*[\"']|style\s*=|<style|javascript:", text), file
