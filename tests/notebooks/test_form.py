"""Every notebook keeps to one form, so that a reader always knows where she is, and shows nothing of our machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from claims import EXPECTED, NOTEBOOKS, check, lesson_of, parameters_of
from nbformat import NotebookNode
from test_papermill import OTHER

from exercises.lab.record import CLAIM_TYPE

SECTIONS = ["The trap", "The lesson", "In the service", "Your turn", "Key points"]
EXTRA = "Beyond one machine"
TAGS = {"parameters", "measured", "nbval-ignore-output"}
MACHINE = re.compile(r"(?<!\w)/(home|root|tmp|work|usr|var|opt|Users)/|(127\.0\.0\.1|localhost):\d+|\.venv")

PICTURE = re.compile(r'src="data:image/png;base64,[^"]*"')

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def code(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> Iterator[NotebookNode]:
    for cell in code(path):
        yield from cell.outputs


def headings(path: Path) -> list[tuple[int, str]]:
    """Level and text of every heading, code fences left out."""
    found = []
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
            found += [(len(marks), words) for marks, words in re.findall(r"^(#+) (.+)$", text, re.MULTILINE)]
    return found


def test_is_valid_and_named_after_its_lesson(path: Path) -> None:
    nbformat.validate(read(path))
    assert re.fullmatch(r"0[0-9]_[a-z_]+\.ipynb", path.name)
    assert {cell.cell_type for cell in read(path).cells} == {"markdown", "code"}


def test_opens_with_what_the_reader_will_learn(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(rf"# Lesson {lesson_of(path)}: \S", first.source)
    parts = re.findall(r"^\*\*(Questions|Objectives|Time|Builds on)\*\*", first.source, re.MULTILINE)
    assert parts == ["Questions", "Objectives", "Time", "Builds on"]
    assert re.search(r"\*\*Time\*\*: \d+ minutes of teaching, \d+ minutes of exercise", first.source)
    asked, after = first.source.split("**Objectives**")
    assert len(re.findall(r"^- .+\?$", asked, re.MULTILINE)) >= 2, "questions end in a question mark"
    assert len(re.findall(r"^- ", after, re.MULTILINE)) >= 2


def test_has_the_sections_in_order(path: Path) -> None:
    second = [words for level, words in headings(path) if level == 2]
    assert [words for words in second if words != EXTRA] == SECTIONS
    assert EXTRA not in second or second.index(EXTRA) > second.index("In the service")


def test_has_one_title_and_skips_no_level(path: Path) -> None:
    levels = [level for level, _ in headings(path)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_ends_with_key_points_and_points_at_the_exercise(path: Path) -> None:
    text = "\n\n".join(cell.source for cell in read(path).cells)
    turn, points = text.split("\n## Your turn")[1].split("\n## Key points")
    number = lesson_of(path)
    assert f"work/lesson_{number:02d}" in turn
    assert turn.count(f"check({number})") >= 2, "said in words, and there to be run"
    assert f"lab check {number}" in turn
    assert len(re.findall(r"^- ", points, re.MULTILINE)) >= 3


def test_has_cells_that_can_be_read(path: Path) -> None:
    cells = code(path)
    assert 20 <= len(cells) - 1 <= 35  # and the check of the exercise
    for cell in cells:
        lines = cell.source.splitlines()
        assert 0 < len(lines) <= 20, cell.source
        assert max(len(line) for line in lines) <= 100, cell.source


def test_says_before_each_cell_what_it_finds_out(path: Path) -> None:
    cells = read(path).cells
    for before, cell in pairwise(cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            assert not before.source.splitlines()[-1].startswith("#"), "a heading is not a sentence"
    assert cells[-1].cell_type == "markdown"


def test_was_run_from_top_to_bottom_without_a_word_of_warning(path: Path) -> None:
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))
    kinds = [(output.output_type, output.get("name", "")) for output in outputs(path)]
    assert {kind for kind, _ in kinds} <= {"stream", "display_data", "execute_result"}
    assert ("stream", "stderr") not in kinds
    for cell in code(path):
        assert "raises-exception" not in cell.metadata.get("tags", []), "papermill does not know it: catch the error"


def test_shows_nothing_of_the_machine_it_ran_on(path: Path) -> None:
    for output in outputs(path):
        shown = [output.get("text", "")] + [
            text for kind, text in output.get("data", {}).items() if isinstance(text, str) and kind != "image/png"
        ]
        for text in shown:
            assert not MACHINE.search(PICTURE.sub("", text)), text


def test_describes_every_picture_in_words(path: Path) -> None:
    pictures = [output for output in outputs(path) if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    for output in pictures:
        alt = output.metadata["image/png"]["alt"]
        assert len(alt) >= 40, "say what the picture shows, not what it is called"
        assert not MACHINE.search(alt)
        assert output.data["text/html"].startswith(f'<img alt="{escape(alt)}"'), "the words reach the page"
    for kind in ("image/jpeg", "image/svg+xml"):
        assert not any(kind in output.get("data", {}) for output in outputs(path)), "pictures are PNG"
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert "![](" not in cell.source
            assert "<img" not in cell.source


def test_makes_its_claims(path: Path) -> None:
    assert EXPECTED[lesson_of(path)], "a notebook without a claim proves nothing"
    check(path, lesson_of(path))


def test_marks_what_changes_from_run_to_run(path: Path) -> None:
    for cell in read(path).cells:
        tags = set(cell.metadata.get("tags", []))
        assert tags <= TAGS
        assert set(cell.metadata) <= {"tags"}, "no times, no state of an editor"
        if "nbval-ignore-output" in tags:
            assert "measured" in tags, "what is not compared is what is measured"
        assert "NBVAL" not in cell.source, "tags, not comments"
        claims = sum(CLAIM_TYPE in output.get("data", {}) for output in cell.get("outputs", []))
        assert claims <= 1, "one claim a cell: a failed claim would hide the next"
        if claims:
            assert "measured" in tags
            assert "nbval-ignore-output" not in tags, "the sentence of a claim is compared"
    ignored = [cell for cell in code(path) if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert len(ignored) <= len(code(path)) / 3, "what is not compared proves nothing"
    assert set(read(path).metadata) == {"kernelspec", "language_info"}


def test_takes_other_parameters(path: Path) -> None:
    tagged = [cell for cell in code(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0] in code(path)[:3], "parameters come first"
    given = parameters_of(path)
    assert {"DAY", "FLIGHTS"} <= set(given) <= set(OTHER)
    rest = "\n".join(cell.source for cell in code(path) if cell is not tagged[0])
    assert all(re.search(rf"\b{name}\b", rest) for name in given), "every parameter is used"
