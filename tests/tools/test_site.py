"""Every page of the site: nothing is dead, nothing is loaded from elsewhere, nothing of a notebook is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from bs4.filter import SoupStrainer

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
LOADED = re.compile(r"""url\((?!\s*["']?(?:data:|#))[^)]*\)|@import[^;]*;|\bimport\s*\(|importScripts\(""")
SOURCES = ("src", "srcset", "poster", "data", "action", "background")
ADDRESSED = SoupStrainer(["a", "link", "script", "img", "iframe", "style", "source", "object", "form", "meta", "base"])


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def addressed(page: Path) -> BeautifulSoup:
    """The tags that can hold an address. Pictures within the page are cut out first: they are most of it."""
    return BeautifulSoup(
        re.sub(r"data:image/png;base64,[^\"]*", "data:,", text(page)), "html.parser", parse_only=ADDRESSED
    )


@cache
def ids(page: Path) -> set[str]:
    return {unescape(name) for name in re.findall(r'\sid="([^"]+)"', text(page))}


def pages(site: Path) -> Iterator[Path]:
    yield from sorted(site.rglob("*.html"))


def dead(site: Path, page: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for tag in addressed(page).find_all(["a", "link", "script", "img"]):
        address = str(tag.get("href") or tag.get("src") or "")
        parts = urlsplit(address)
        if parts.scheme in {"http", "https", "data", "mailto"}:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if target.is_dir():
            target = target / "index.html"
        if not (target.is_relative_to(site) and target.is_file()):
            yield f"{page.relative_to(site)}: {address}"
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in ids(target):
            yield f"{page.relative_to(site)}: {address}: no such place"


def test_every_link_and_anchor_is_there(site: Path) -> None:
    site = site.resolve()
    assert [link for page in pages(site) for link in dead(site, page)] == []
    assert len(list(pages(site))) > 100


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    site = site.resolve()
    reached, waiting = set(), [site / "index.html"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".html":
            continue
        reached.add(page)
        links = (str(tag["href"]) for tag in addressed(page).find_all("a", href=True))
        waiting += [
            (page.parent / unquote(urlsplit(link).path)).resolve()
            for link in links
            if not urlsplit(link).scheme and urlsplit(link).path
        ]
    assert set(pages(site)) - reached == set()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in pages(site):
        soup = addressed(page)
        loaded = [str(tag[name]) for name in SOURCES for tag in soup.find_all(True, {name: True})]
        loaded += [str(tag["href"]) for tag in soup.find_all(["link", "base"], href=True)]
        assert [address for address in loaded if urlsplit(address).scheme not in {"", "data"}] == [], page
        assert not [address for address in loaded if address.startswith("/")], page
        styles = "".join(style.get_text() for style in soup.find_all("style"))
        assert not LOADED.search(styles), (page, LOADED.search(styles))
    assert not LOADED.search((site / "site.css").read_text())


def test_every_picture_is_described(site: Path) -> None:
    pictures = [tag for page in pages(site) for tag in addressed(page).find_all("img")]
    assert len(pictures) > 40
    assert [tag for tag in pictures if not tag.get("alt")] == []
    lessons = [tag for page in (site / "notebooks").glob("*.html") for tag in addressed(page).find_all("img")]
    assert [tag for tag in lessons if len(str(tag["alt"])) < 40] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_a_notebook_is_lost(site: Path, notebook: Path) -> None:
    """Every line of code and of what it printed, every claim and every picture, in order."""
    page = BeautifulSoup(text(site / "notebooks" / f"{notebook.stem}.html"), "html.parser")
    shown = re.sub(r"\s+", " ", page.get_text())
    pictures, at = 0, 0
    for cell in nbformat.read(notebook, as_version=4).cells:
        for piece in wanted(cell):
            found = shown.find(re.sub(r"\s+", " ", piece.strip()), at)
            assert found >= 0, piece
            at = found
        pictures += sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    assert len(page.find_all("img")) == pictures > 0


def wanted(cell: nbformat.NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        return
    yield cell.source
    for output in cell.outputs:
        html = output.get("data", {}).get("text/html", "")
        if not html:
            table = output.get("data", {}).get("text/markdown", "")
            yield table.split("|")[1] if table else output.get("text") or output.data["text/plain"]
        elif html.startswith("<p>"):
            sentence = BeautifulSoup(html, "html.parser").b
            assert sentence, html
            yield sentence.get_text()


def test_has_no_mathematics_that_a_page_would_show_as_source() -> None:
    """No formula is typeset here. If you write the first one, add the typesetting."""
    for notebook in NOTEBOOKS:
        for cell in nbformat.read(notebook, as_version=4).cells:
            if cell.cell_type == "markdown":
                words = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
                assert not re.search(r"\$[^$\s][^$]*\$|\\\(|\\\[", words), words
