"""The arc's table lands in the readme's marked place and nowhere else; the figures can be read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from needed import needed

from labserver.capacity.arc import NEWLY_NOTICED, TABLE_BEGIN, TABLE_END, MeasuredStage, read, table, write
from labserver.capacity.bench import measured_alone
from labserver.capacity.pictures import arc
from labserver.errors import LabError
from labserver.settings import Settings

STEPS = [MeasuredStage(0, 3.04, 939.6, 987, "one thing"), MeasuredStage(9, 5394.2, 3.56, 96, "another")]
TABLE = """| stage | requests/s | p99 ms | memory MiB | newly refuses or reports |
|---|---|---|---|---|
| 0 | 3.0 | 940 | 987 | one thing |
| 9 | 5,394 | 3.6 | 96 | another |"""


def test_the_table() -> None:
    assert table(STEPS) == TABLE


def test_only_the_marked_place_is_written(tmp_path: Path) -> None:
    readme, file = tmp_path / "README.md", tmp_path / "notebooks/arc.json"
    readme.write_text(f"before\n{TABLE_BEGIN}\nold\n{TABLE_END}\nafter\n")
    write(STEPS, file, readme)
    assert readme.read_text() == f"before\n{TABLE_BEGIN}\n{TABLE}\n{TABLE_END}\nafter\n"
    assert read(file) == STEPS
    assert [axes.get_ylabel() for axes in arc(STEPS).axes] == ["requests/s", "p99, ms", "memory, MiB"]


def test_a_readme_without_a_place_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(LabError, match="no place"):
        write(STEPS, tmp_path / "arc.json", readme)
    assert readme.read_text() == "nothing here"


def test_what_is_published_is_one_measurement_of_all_stages() -> None:
    root = Path(__file__).parents[2]
    steps = read(root / "notebooks/arc.json")
    assert [step.stage for step in steps] == list(range(10))
    assert table(steps) in (root / "README.md").read_text()
    assert tuple(step.notices for step in steps) == NEWLY_NOTICED


@pytest.mark.ci
def test_a_stage_is_measured(settings: Settings) -> None:
    needed("wrk", "wrk")
    subject = measured_alone(settings, 9, 1, 1)
    assert subject.rates[0] > 50
    assert subject.memory_mib > 10
