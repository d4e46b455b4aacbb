"""The detection matrix on the real year: its figures, its table, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labserver.capacity.detection import Alarm, Episode, Matrix, Trial, detect
from labserver.capacity.matrix import picture, table, to_json
from labserver.errors import LabError
from labserver.settings import Settings

SOON = Alarm(5, "FeatureJump", "humidity")
LATE = Alarm(90, "FeatureDrift", "humidity")
QUIET = Episode("2013-10-22", "FeatureFrozen", "precipitation", "ticket", "It has one value.")


def by_hand() -> Matrix:
    """Two faults with two beginnings each; three of the four matter, and two of those were found in time."""
    march, may = "2013-03-04 10:00", "2013-05-15 00:00"
    hour = [Trial(march, SOON, SOON, 0.2, 60.0), Trial(may, LATE, None, 0.1, 30.0)]
    wind = [Trial(march, None, None, 0.01, 0.0), Trial(may, SOON, None, 0.05, 1.0)]
    return Matrix({"hour-utc": hour, "wind-knots": wind}, [QUIET])


def test_the_table_has_the_worst_fault_first_and_says_what_was_not_found() -> None:
    lines = table(by_hand()).splitlines()
    assert lines[2] == "| the hour of departure in UTC | 15.0% | +45 | 5, 90 | FeatureDrift | 5, – |"
    assert lines[3] == "| wind in knots | 3.0% | +0 | –, 5 | FeatureJump | –, – |"
    assert "Of 3 trials whose fault changes 5% of the decisions or more, 2 were found within 24 hours." in table(
        by_hand()
    )
    assert "Without a fault, from February to December: 0 pages and 1 tickets." in table(by_hand())
    assert lines[-1] == "| 2013-10-22 | ticket | FeatureFrozen | precipitation | It has one value. |"


def test_everything_is_in_the_json() -> None:
    found = json.loads(json.dumps(to_json(by_hand()), allow_nan=False))
    assert found["trials"]["hour-utc"][0]["page"] == {"hours": 5, "name": "FeatureJump", "feature": "humidity"}
    assert found["year"][0]["day"] == "2013-10-22"


def test_the_picture_has_a_row_for_each_fault_and_a_point_for_each_beginning(tmp_path: Path) -> None:
    figure = picture(by_hand())
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "wind in knots, 3.0%",
        "the hour of departure in UTC, 15.0%",
    ]
    points = {str(line.get_label()): line.get_xydata().tolist() for line in axes.lines[:3]}  # type: ignore[union-attr]
    assert points == {"ticket": [[5, 0], [90, 1]], "page": [[5, 1]], "not found": [[1344, 0]]}
    figure.savefig(tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").stat().st_size > 10_000


def test_a_fault_that_there_is_not_is_one_sentence(settings: Settings) -> None:
    with pytest.raises(LabError, match=r"There is no fault hour-utcc\. There are: nothing, visibility-km, "):
        detect(settings, ["hour-utcc"], print)


@pytest.mark.slow
def test_the_real_year_and_three_faults(settings: Settings) -> None:
    matrix = detect(settings, ["nothing", "hour-utc", "humidity-frozen"], lambda line: None)
    assert all(trial == Trial(trial.began, None, None, 0.0, 0.0) for trial in matrix.trials["nothing"])
    for trial in matrix.trials["hour-utc"]:
        assert trial.first
        assert trial.page
        assert trial.page.hours <= 24
        assert trial.page.feature == "departure_hour"
        assert trial.changed > 0.05
        assert trial.cost > 0
    assert {trial.first.name for trial in matrix.trials["humidity-frozen"] if trial.first} == {"FeatureFrozen"}
    quiet = [episode for episode in matrix.year if "2013-02-13" <= episode.day < "2013-09-01"]
    assert quiet == []
    autumn = [episode for episode in matrix.year if "2013-09-01" <= episode.day < "2013-12-31"]
    assert [(episode.day, episode.feature) for episode in autumn if episode.severity == "page"] == [
        ("2013-11-28", "departure_hour")
    ]


def test_the_command_names_what_there_is(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labserver", "detect", "no-such-fault"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "There is no fault no-such-fault." in done.stderr
    assert "Traceback" not in done.stderr
