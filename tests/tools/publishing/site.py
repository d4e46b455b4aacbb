"""``make site``: the course as a folder of static pages that needs no server and no network.

``python -m publishing.site [FOLDER]`` builds it in FOLDER, by default ``var/site``.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from publishing import reference, slides
from publishing.cells import (
    TEMPLATES,
    dark_code,
    headings,
    light_code,
    of_cells,
    of_markdown,
    of_source,
)
from publishing.lessons import Lesson, lessons, read
from publishing.links import PICTURES, PROSE, ROOT, page_of, relative, turn

OUT = ROOT / "var/site"
README, GUIDE = Path("README.md"), Path("notebooks/INSTRUCTORS.md")
DOCUMENTS = (README, Path("CONTRIBUTING.md"), Path("CHANGELOG.md"), Path("SECURITY.md"), GUIDE)
STYLE = Path("site.css")
HIDDEN = re.compile(r"^\.|__pycache__")


@dataclass
class Site:
    """The pages that are written, and the files that they link to and that still want one."""

    folder: Path
    written: set[Path] = field(default_factory=set)
    wanted: set[Path] = field(default_factory=set)
    jinja: Environment = field(
        default_factory=lambda: Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    )

    def put(self, page: Path, template: str, /, **values: Any) -> None:
        """Write a page from a template. ``up`` leads from it to the root of the site."""
        target = self.folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (len(page.parts) - 1)
        documents = [(path.stem.capitalize(), page_of(path).as_posix()) for path in DOCUMENTS if _there(path)]
        text = self.jinja.get_template(template).render(up=up, here=page.as_posix(), documents=documents, **values)
        target.write_text(text, encoding="utf-8")

    def document(self, source: Path, soup: BeautifulSoup, /, **values: Any) -> None:
        """The page of a file, its links turned."""
        self.written.add(source)
        self.wanted |= turn(soup, source)
        self.put(page_of(source), "document.html.j2", **_body(soup), source=source.as_posix(), **values)

    def style(self) -> None:
        """Write the style sheet of all pages."""
        self.put(STYLE, "site.css", light=light_code(), dark=dark_code())

    def text(self, page: Path, text: str) -> None:
        """Write a page from Markdown that is in no file."""
        self.put(page, "document.html.j2", **_body(of_markdown(text)))

    def source(self, path: Path) -> None:
        """The page of a source file, a folder or a picture that another page links to."""
        self.written.add(path)
        file, page = ROOT / path, page_of(path)
        if path.suffix in PICTURES:
            (self.folder / page).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self.folder / page)
        elif file.is_dir():
            self.text(page, self._listing(path))
        elif path.suffix == ".md":
            self.document(path, of_markdown(file.read_text(encoding="utf-8")))
        else:
            soup = of_source(file.read_text(encoding="utf-8"), path.name)
            self.put(
                page,
                "document.html.j2",
                title=path.as_posix(),
                body=_markup(soup),
                contents=[],
                code=True,
            )

    def _listing(self, folder: Path) -> str:
        """The content of a folder as Markdown; its text files get pages too."""
        lines = [f"# {folder.as_posix()}/", ""]
        for file in sorted((ROOT / folder).iterdir()):
            path = file.relative_to(ROOT)
            if HIDDEN.match(file.name):
                continue
            if file.is_file() and (file.suffix in PICTURES | PROSE or _is_text(file)):
                self.wanted.add(path)
                lines.append(f"- [{file.name}]({page_of(path).name})")
            else:
                lines.append(f"- {file.name}{'/' if file.is_dir() else ''}")
        return "\n".join(lines)


def build(folder: Path = OUT, decks: Iterable[Lesson] | None = None) -> None:
    """Build the whole site anew in ``folder``.

    Args:
        folder: emptied first.
        decks: the lessons that get slides; by default all.

    Raises:
        Dead: if a link in a document or a notebook leads nowhere.
        LabError: if the service whose interface is described cannot start; see ``labserver build``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    site, course = Site(folder), lessons()
    shown = list(course if decks is None else decks)
    for lesson in shown:
        slides.write(lesson, folder / "slides")
    _index(site, course)
    for lesson in course:
        _lesson(site, lesson, course, deck=lesson in shown)
    for path in filter(_there, DOCUMENTS):
        site.document(path, of_markdown((ROOT / path).read_text(encoding="utf-8")))
    reference.python(folder / "reference")
    for name, text in reference.pages().items():
        site.text(Path("reference") / name, text)
    while missing := site.wanted - site.written:
        for path in sorted(missing):
            site.source(path)
    site.style()


def write_lesson(folder: Path, lesson: Lesson) -> Path:
    """Write the page of one lesson alone, whose links lead nowhere, and return its file."""
    site = Site(folder)
    _lesson(site, lesson, (lesson,), deck=False)
    site.style()
    return folder / _address(lesson)


def _index(site: Site, course: tuple[Lesson, ...]) -> None:
    """The first page: what the course is, in the README's own first words; its lessons; the arc."""
    readme = (ROOT / README).read_text(encoding="utf-8")
    lead = readme.split("\n## ")[0].split("\n", 1)[1]
    soup = of_markdown(lead)
    site.wanted |= turn(soup, README)
    picture = re.search(r"!\[(?P<alt>[^]]+)\]\((?P<src>[^)]*arc\.png)\)", readme)
    if picture:
        site.wanted.add(Path(picture["src"]))
    site.put(
        Path("index.html"),
        "index.html.j2",
        lead=_markup(soup),
        lessons=course,
        arc=picture,
        page_of=_address,
    )


def _lesson(site: Site, lesson: Lesson, course: tuple[Lesson, ...], *, deck: bool) -> None:
    place = course.index(lesson)
    here = lesson.notebook.relative_to(ROOT)
    site.document(
        here,
        of_cells(read(lesson.notebook, as_version=4).cells),
        lesson=lesson,
        previous=_step(here, course[place - 1]) if place else None,
        next=_step(here, course[place + 1]) if place + 1 < len(course) else None,
        deck=relative(page_of(here), Path("slides") / page_of(here).name) if deck else None,
    )


def _step(here: Path, lesson: Lesson) -> dict[str, str]:
    there = page_of(lesson.notebook.relative_to(ROOT))
    return {"href": relative(page_of(here), there), "title": f"{lesson.number}. {lesson.title}"}


def _body(soup: BeautifulSoup) -> dict[str, Any]:
    found = headings(soup)
    contents = [(int(tag.name[1]), str(tag["id"]), tag.get_text()) for tag in found if tag.name in ("h2", "h3")]
    return {"title": found[0].get_text(), "contents": contents, "body": _markup(soup)}


def _address(lesson: Lesson) -> str:
    return page_of(lesson.notebook.relative_to(ROOT)).as_posix()


def _markup(soup: BeautifulSoup) -> Markup:
    return Markup(str(soup))


def _there(path: Path) -> bool:
    return (ROOT / path).exists()


def _is_text(file: Path) -> bool:
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    out = Path(sys.argv[1]).resolve() if sys.argv[1:] else OUT
    build(out)
    print(f"The course: {out / 'index.html'}")
