"""The papers of the repository: the folders that they name exist, and the forms for issues are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from publishing.lessons import lessons

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
FORMS = ROOT / ".github/ISSUE_TEMPLATE"


def section(text: str, title: str) -> str:
    """The text below a heading of level 2."""
    _, _, rest = text.partition(f"\n## {title}\n")
    assert rest, title
    return rest.split("\n## ")[0]


def top_folders() -> set[str]:
    """Folders of the course itself: neither hidden nor ignored by git."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return {name for name in folders if name not in ignored and not name.endswith(".egg-info")}


def tree(text: str) -> Iterator[Path]:
    """The folders of an indented list."""
    above: list[str] = []
    for line in text.splitlines():
        if found := re.match(r"((?:    )*)([\w.]+)/", line):
            above[len(found[1]) // 4 :] = [found[2]]
            yield Path(*above)


def test_the_readme_names_every_top_folder_and_no_other() -> None:
    rows = [row.split("|")[1] for row in section(README, "Where things are").splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([\w.]+)/`", row)}
    assert {name for name in named if not name.startswith(".")} == top_folders()
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_the_tree_names_every_folder_of_the_code_and_no_other() -> None:
    named = list(tree(section(CONTRIBUTING, "Where things are").split("```")[1]))
    assert [str(folder) for folder in named if not (ROOT / folder).is_dir()] == []
    assert {str(folder) for folder in named if len(folder.parts) == 1} == top_folders()
    for top in ("labserver", "exercises"):
        here = {path.parent.name for path in (ROOT / top).glob("*/*") if path.is_file()}
        assert {folder.name for folder in named if folder.parent == Path(top)} == here - {"__pycache__"}


@pytest.mark.parametrize("form", ["bug", "lesson"])
def test_a_form_for_issues_asks_each_question_once(form: str) -> None:
    content = yaml.safe_load((FORMS / f"{form}.yml").read_text())
    assert {"name", "description", "body"} <= content.keys()
    questions = [part for part in content["body"] if part["type"] != "markdown"]
    assert len({question["id"] for question in questions}) == len(questions) > 0
    assert all(question["attributes"]["label"] for question in questions)
    assert any(question["validations"]["required"] for question in questions if "validations" in question)


def test_the_form_for_lessons_lists_the_lessons() -> None:
    body = yaml.safe_load((FORMS / "lesson.yml").read_text())["body"]
    options = next(part["attributes"]["options"] for part in body if part.get("id") == "lesson")
    assert options[:-1] == [f"{lesson.number}. {lesson.title}" for lesson in lessons()]


def test_the_picture_of_a_lesson_is_small() -> None:
    picture = ROOT / "notebooks/lesson.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < picture.stat().st_size < 200_000
