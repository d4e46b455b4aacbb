"""From a file of the repository to its page, and from links between files to links between pages."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[3]
PICTURES = {".png", ".svg"}
PROSE = {".md", ".ipynb"}


class Dead(ValueError):
    """A link leads nowhere."""


def page_of(file: Path) -> Path:
    """The path of a file's or folder's page in the site, both relative: a picture keeps its name."""
    if file.suffix in PROSE:
        return file.with_suffix(".html")
    if file.suffix in PICTURES:
        return file
    return file / "index.html" if (ROOT / file).is_dir() else file.with_name(f"{file.name}.html")


def relative(page: Path, target: Path) -> str:
    """The address of ``target`` as ``page`` writes it."""
    return Path(os.path.relpath(target, page.parent)).as_posix()


def target_of(address: str, source: Path) -> Path | None:
    """The file that a link in the file ``source`` means, relative to the repository; None for one beyond it.

    Raises:
        Dead: if there is no such file.
    """
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    target = (ROOT / source.parent / parts.path).resolve()
    if not (target.is_relative_to(ROOT) and target.exists()):
        raise Dead(f"{source} links to {address}, which is not there.")
    return target.relative_to(ROOT)


def turn(soup: BeautifulSoup, source: Path) -> set[Path]:
    """Let the links of ``source``'s page lead to pages.

    Returns:
        The files that it links to.

    Raises:
        Dead: if one is not there.
    """
    wanted = set()
    for name, attribute in (("a", "href"), ("img", "src")):
        for tag in soup.find_all(name, attrs={attribute: True}):
            address = str(tag[attribute])
            target = target_of(address, source)
            if target is not None:
                fragment = urlsplit(address).fragment
                there = relative(page_of(source), page_of(target))
                tag[attribute] = f"{there}#{fragment}" if fragment else there
                wanted.add(target)
    return wanted
