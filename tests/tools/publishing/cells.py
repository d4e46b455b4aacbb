"""Markdown, notebook cells and source code as plain HTML, without a script and without an address elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

TEMPLATES = Path(__file__).parent / "templates"
LIGHT, DARK = "xcode", "github-dark"
"""The styles of Pygments whose weakest colour has the best contrast with its background: 5.1 and 6.2 to one."""

new_notebook: Callable[..., NotebookNode] = nbformat.v4.new_notebook
new_markdown: Callable[..., NotebookNode] = nbformat.v4.new_markdown_cell
exporter_of: Callable[..., Any] = HTMLExporter


def of_cells(cells: Sequence[NotebookNode]) -> BeautifulSoup:
    """Cells with the outputs that they hold; headings have the ids that GitHub gives them."""
    notebook = new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})
    body, _ = _exporter().from_notebook_node(notebook)
    soup = BeautifulSoup(body, "html.parser")
    _name_headings(soup)
    for scrolled in soup.find_all("pre"):
        scrolled["tabindex"] = "0"  # so that the keyboard scrolls it too
    for table in soup.find_all("table"):
        del table["border"]
        table.wrap(soup.new_tag("div", attrs={"class": "wide", "tabindex": "0"}))
    for style in soup.find_all("style"):
        style.decompose()  # pandas' own: the page has one for tables
    return soup


def of_markdown(text: str) -> BeautifulSoup:
    """A text in Markdown."""
    return of_cells([new_markdown(text)])


def of_source(text: str, name: str) -> BeautifulSoup:
    """A source file with numbered lines, each with an id: ``L1``, ``L2``, …"""
    try:
        lexer = get_lexer_for_filename(name)
    except ClassNotFound:
        lexer = TextLexer()
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=False)
    soup = BeautifulSoup(highlight(text, lexer, formatter).replace('name="L-', 'id="L'), "html.parser")
    for block in soup.find_all("pre"):
        block["tabindex"] = "0"
    return soup


def light_code(within: str = ".highlight") -> str:
    """CSS for the colours of code on white."""
    return str(HtmlFormatter(style=LIGHT).get_style_defs(within))


def dark_code(within: str = ".highlight") -> str:
    """The same on black."""
    return str(HtmlFormatter(style=DARK).get_style_defs(within))


def slug(heading: str) -> str:
    """The id of a heading, by GitHub's rule."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(soup: BeautifulSoup) -> list[Tag]:
    """Every heading, in order."""
    return list(soup.find_all(re.compile(r"^h[1-6]$")))


def _name_headings(soup: BeautifulSoup) -> None:
    seen: Counter[str] = Counter()
    for heading in headings(soup):
        name = slug(heading.get_text())
        heading["id"] = f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1


@cache
def _exporter() -> Any:
    return exporter_of(
        template_name="cells",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
