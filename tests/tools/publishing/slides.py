"""``make slides``: each lesson as one HTML file with everything in it, to be shown from a folder without internet.

A heading begins a slide, and so does every sentence with the cell that follows it. A cell's output is below it
if both fit, and on a slide of its own if not; what is longer than a slide scrolls. The trap comes first: the cells
before it only set up.

``python -m publishing.slides [FOLDER]`` writes all of them, by default into ``var/site/slides``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbformat import NotebookNode

from publishing.cells import TEMPLATES, light_code, new_markdown, of_cells, of_markdown
from publishing.heights import HEIGHT, WIDTH, fits
from publishing.lessons import NOTEBOOKS_FOLDER, Lesson, lessons, read
from publishing.links import ROOT

OUT = ROOT / "var/site/slides"
VENDOR = Path(__file__).parent / "vendor"
GUIDE = NOTEBOOKS_FOLDER / "INSTRUCTORS.md"
HEADING = re.compile(r"^#{1,3} +(.+)$", re.MULTILINE)
TRAP = "## The trap\n"


@dataclass(frozen=True)
class Slide:
    """One slide.

    Attributes:
        cells: its content.
        continues: the heading that it goes on with, if it has none of its own.
        result: it shows what the cell of the slide before printed, and nothing else.
    """

    cells: Sequence[NotebookNode]
    continues: str = ""
    result: bool = False


def split(cells: Sequence[NotebookNode]) -> Iterator[Slide]:
    """The slides of a notebook: its first cell, then everything from the trap on."""
    pieces = list(_pieces(cells))
    [start] = [number for number, piece in enumerate(pieces) if piece.source.startswith(TRAP)]
    heading = title = ""
    waiting: list[NotebookNode] = []
    for cell in [pieces[0], *pieces[start:]]:
        if cell.cell_type == "markdown":
            if waiting:
                yield Slide(waiting, heading)
            waiting = [cell]
            found = HEADING.match(cell.source)
            heading, title = ("", found[1]) if found else (title, title)
            continue
        yield from _with_outputs([*waiting, cell], heading, title)
        waiting = []
    yield Slide(waiting, heading)


def _pieces(cells: Sequence[NotebookNode]) -> Iterator[NotebookNode]:
    """The cells, those with several headings cut before each."""
    for cell in cells:
        if cell.cell_type == "markdown":
            yield from (new_markdown(part) for part in re.split(r"(?m)^(?=#{1,3} )", cell.source) if part.strip())
        else:
            yield cell


def _with_outputs(cells: list[NotebookNode], heading: str, title: str) -> Iterator[Slide]:
    """A sentence and its code; the outputs with them if there is room, else after them."""
    *words, code = cells
    if fits(cells, continued=bool(heading)):
        yield Slide(cells, heading)
        return
    yield Slide([*words, _without(code, outputs=[])], heading)
    yield Slide([_without(code, source="")], title, result=True)


def _without(cell: NotebookNode, **changes: object) -> NotebookNode:
    copied = deepcopy(cell)
    for name, value in changes.items():
        copied[name] = value
    return copied


def deck(lesson: Lesson) -> str:
    """The HTML of a lesson's slides; the instructors' guide, if it is there, makes the notes of the first."""
    cells = read(lesson.notebook, as_version=4).cells
    shown = [
        {"body": _body(slide), "continues": slide.continues, "result": slide.result, "notes": ""}
        for slide in split(cells)
    ]
    shown[0]["notes"] = Markup(str(of_markdown(notes(lesson.number))))
    return (
        _jinja()
        .get_template("deck.html.j2")
        .render(
            **{
                "lesson": lesson,
                "slides": shown,
                "width": WIDTH,
                "height": HEIGHT,
                "code": light_code(),
            },
            **{name.replace(".", "_"): _vendored(name) for name in ("reveal.js", "reveal.css", "notes.js")},
        )
    )


def notes(lesson: int) -> str:
    """The section "Lesson N" of the guide for instructors, in Markdown; empty without a guide."""
    text = GUIDE.read_text(encoding="utf-8") if GUIDE.exists() else ""
    found = re.search(rf"^### Lesson {lesson}\b.*?$(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def write(lesson: Lesson, folder: Path = OUT) -> Path:
    """Write a lesson's slides into ``folder``, named after its notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{lesson.notebook.stem}.html"
    file.write_text(deck(lesson), encoding="utf-8")
    return file


def _body(slide: Slide) -> Markup:
    soup: BeautifulSoup = of_cells(slide.cells)
    for link in soup.find_all("a", href=re.compile(r"^(?!https?:)")):
        link.unwrap()  # one file leads nowhere
    for heading in soup.find_all(re.compile(r"^h[1-6]$")):
        del heading["id"]  # the same on several slides
    return Markup(str(soup))


def _vendored(name: str) -> Markup:
    return Markup((VENDOR / name).read_text(encoding="utf-8").replace("</script", "<\\/script"))


@cache
def _jinja() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)


if __name__ == "__main__":
    out = Path(sys.argv[1]).resolve() if sys.argv[1:] else OUT
    for each in lessons():
        print(write(each, out))
