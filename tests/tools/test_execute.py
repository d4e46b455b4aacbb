"""``make notebooks``: run in place, and nothing of the run stays behind but outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from claims import NOTEBOOKS_FOLDER
from execute import execute
from nbclient.exceptions import CellExecutionError

pytestmark = pytest.mark.slow

SMALL = [
    "import sys; sys.path.insert(0, {folder!r})\nfrom kit import claim, picture, show",
    "for number in range(3):\n    print(number, flush=True)",
    "figure, axes = picture('Three rises to nine')\naxes.plot([0, 3, 6, 9])\nshow(figure, 'A line from 0 to 9')",
    "import time\ntime.perf_counter()",
]


def small(path: Path) -> Path:
    cells = [nbformat.v4.new_code_cell(source.format(folder=str(NOTEBOOKS_FOLDER))) for source in SMALL]
    cells[-1].metadata.tags = ["measured", "nbval-ignore-output"]
    cells[0].metadata.collapsed = True
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_second_run_changes_only_measured_cells(tmp_path: Path) -> None:
    path = small(tmp_path / "small.ipynb")
    nbformat.write(execute(path, tmp_path), path)
    first = path.read_text()
    again = execute(path, tmp_path)
    changed = [
        new.get("metadata") for new, old in zip(again.cells, nbformat.reads(first, 4).cells, strict=True) if new != old
    ]
    assert changed == [{"tags": ["measured", "nbval-ignore-output"]}]
    again.cells[-1] = nbformat.reads(first, 4).cells[-1]
    nbformat.write(again, path)
    assert path.read_text() == first


def test_only_tags_and_the_kernel_are_kept(tmp_path: Path) -> None:
    done = execute(small(tmp_path / "small.ipynb"), tmp_path)
    assert [dict(cell.metadata) for cell in done.cells] == [{}, {}, {}, {"tags": ["measured", "nbval-ignore-output"]}]
    assert done.metadata.language_info == {"name": "python"}
    assert [cell.execution_count for cell in done.cells] == [1, 2, 3, 4]


def test_a_cell_that_fails_leaves_the_file_alone(tmp_path: Path) -> None:
    path = small(tmp_path / "small.ipynb")
    notebook = nbformat.read(path, 4)
    notebook.cells[1].source = "1 / 0"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError):
        execute(path, tmp_path)
    assert path.read_bytes() == before
