"""Shows that every claim can fail: runs notebooks with the lesson's point taken away, and looks at what they claim.

``python tests/notebooks/taken_away.py [NUMBER ...]`` runs some, such as ``00 07``; without a number, all. A notebook
runs once, with all of its changes made. Each failed claim leaves its record and the next cells run nevertheless.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from claims import EXPECTED, FOLDER, NOTEBOOKS, Record, lesson_of, records
from nbclient import NotebookClient

sys.path.insert(0, str(FOLDER.parent / "tests"))
from running import own_home, running

# A catalogue whose hours are Greenwich's, and whose version is kept by hand: nobody raised it.
BY_HAND = """
from dataclasses import replace
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE

class ByHand(Catalogue):
    version = CATALOGUE.version

    def trained_on(self, trained):
        return ByHand(super().trained_on(trained).groups)

def catalogue(settings):
    first, *others = CATALOGUE.groups
    hour, *more = first.features
    hour = replace(hour, meaning="Hour in UTC", request=lambda minute, weekday: (minute / 60.0 + 4) % 24)
    return ByHand((replace(first, features=(hour, *more)), *others))
"""

CHANGES: dict[int, list[tuple[str, str]]] = {
    0: [
        # Both copies take the hour from time_hour: no skew.
        ('"hour": flights["hour"]', '"hour": pd.to_datetime(flights["time_hour"]).dt.hour'),
        # A message that the service refuses.
        ("answer.status_code", 'pasted.post("/predict", [{}])'),
        # The new model comes with feature code of its own.
        ("sorted(own_parts(challenger))", f"challenger.open('a').write({BY_HAND!r})"),
        # By place.
        ('[with_weekend.names.index(name) for name in signature["features"]]', ': len(signature["features"])'),
        # Serving has a definition of its own.
        (
            "with kit.stage(9) as stage:",
            f"skewed = Path(workshop.name) / 'skewed.py'\nskewed.write_text({BY_HAND!r})\n"
            "with kit.stage(9, skewed) as stage:",
        ),
    ],
}
"""Lesson to pairs of a text that occurs once in its notebook's code, and what takes its place."""


def without(path: Path) -> nbformat.NotebookNode:
    """The notebook with its changes made.

    Raises:
        ValueError: if a text to be changed does not occur exactly once.
    """
    notebook = nbformat.read(path, as_version=4)
    for old, new in CHANGES[lesson_of(path)]:
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        if len(cells) != 1 or cells[0].source.count(old) != 1:
            raise ValueError(f"{path.name}: {old!r} does not occur exactly once")
        cells[0].source = cells[0].source.replace(old, new)
    return notebook


def run(path: Path, home: Path) -> list[Record]:
    """What the changed notebook claims."""
    notebook = without(path)
    with tempfile.TemporaryDirectory() as folder, running(own_home(home, Path(folder))) as service:
        os.environ |= {"LABSERVER_HOME": str(home), "LABSERVER_URL": service.url}
        place = {"metadata": {"path": str(FOLDER)}}
        NotebookClient(notebook, timeout=180, kernel_name="python3", resources=place, allow_errors=True).execute()
        kept = Path(folder) / path.name
        nbformat.write(notebook, kept)
        return records(kept)


def main(numbers: list[str]) -> int:
    home = Path(os.environ.get("LABSERVER_HOME") or FOLDER.parent / "var").resolve()
    firm = 0
    for path in NOTEBOOKS:
        if not numbers or path.name[:2] in numbers:
            found = {record.name: record for record in run(path, home)}
            for name, bound in EXPECTED[lesson_of(path)].items():
                record = found.get(name)
                said = "was not reached" if record is None else f"{record.value} {record.unit}"
                fails = record is not None and not record.holds
                firm += not fails
                print(f"{'fails, as it should' if fails else 'HOLDS OR IS MISSING'}: {name} ({bound}): {said}")
    return firm


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
