"""Each lesson in one line, the README's table of lessons, and the links and the spelling of every text."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from publishing.cells import headings, of_markdown
from publishing.lessons import BEGIN, HEADLINES, README, SENTENCES, Unreadable, filled, lessons, minutes, table
from publishing.links import ROOT, Dead, target_of

from exercises.checks.registry import EXERCISES

PAPERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "notebooks/INSTRUCTORS.md")
DOCUMENTS = [ROOT / name for name in PAPERS if (ROOT / name).exists()]
NOTEBOOKS = [lesson.notebook for lesson in lessons()]


def test_notebooks_give_the_exercises_own_minutes() -> None:
    for lesson in lessons():
        first = nbformat.read(lesson.notebook, as_version=4).cells[0].source
        assert f"**Time**: {lesson.teaching} minutes of teaching, {lesson.exercise} minutes of exercise" in first
        assert minutes(lesson.number) == (lesson.teaching, EXERCISES[lesson.number].minutes)


def test_each_lesson_has_a_headline_with_a_bound() -> None:
    assert [lesson.number for lesson in lessons()] == list(range(10)) == sorted(HEADLINES)
    assert SENTENCES.keys() == set(HEADLINES.values())
    for lesson in lessons():
        assert re.fullmatch(r"[A-Z].+ (at least|at most|exactly) [\d.,]+ \S.*\.", lesson.headline)


def test_the_readme_has_the_table() -> None:
    text = README.read_text()
    assert filled(text) == text, "run: PYTHONPATH=tests/tools python -m publishing.lessons --write"


def test_the_table_is_put_between_its_markers_only() -> None:
    text = f"before\n{BEGIN}\nold\n<!-- end of lessons -->\nafter"
    assert filled(text) == f"before\n{BEGIN}\n{table()}\n<!-- end of lessons -->\nafter"
    with pytest.raises(Unreadable, match="no place"):
        filled("nothing")


def prose(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", [*DOCUMENTS, *NOTEBOOKS], ids=lambda path: path.name)
def test_relative_links_lead_to_files_and_headings(path: Path) -> None:
    here = path.relative_to(ROOT)
    soup = of_markdown(prose(path))
    for tag in [*soup.find_all("a", href=True), *soup.find_all("img", src=True)]:
        address = str(tag.get("href") or tag.get("src"))
        target = target_of(address, here)
        _, _, anchor = address.partition("#")
        if anchor and "://" not in address:
            text = prose(ROOT / target) if target else prose(path)
            assert anchor in {heading["id"] for heading in headings(of_markdown(text))}, address


def test_a_dead_link_is_told() -> None:
    with pytest.raises(Dead, match=r"nothing\.md"):
        target_of("nothing.md", Path("README.md"))


def test_spelling(tmp_path: Path) -> None:
    """Every text and source; of notebooks what somebody wrote, since what they printed is theirs."""
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        (tmp_path / f"{path.stem}.md").write_text("\n\n".join(cell.source for cell in cells))
    command = [str(Path(sys.executable).parent / "codespell"), "--toml", "pyproject.toml", ".", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
