"""Shows that every claim can fail: runs notebooks with the lesson's point taken away, and looks at what they claim.

``python tests/tools/taken_away.py [NUMBER ...]`` runs some, such as ``00 07``; without a number, all. A notebook
runs once, with all of its changes made. Each failed claim leaves its record and the next cells run nevertheless.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "notebooks")]
from claims import EXPECTED, NOTEBOOKS, NOTEBOOKS_FOLDER, Record, lesson_of, records  # noqa: E402
from services import own_home, running  # noqa: E402

# A catalogue whose hours are Greenwich's, and whose version is kept by hand: nobody raised it.
BY_HAND = """
from dataclasses import replace
from labserver.features.catalogue import Catalogue
from labserver.features.definitions import CATALOGUE

class ByHand(Catalogue):
    version, versions = CATALOGUE.version, CATALOGUE.versions

    def trained_on(self, trained):
        return ByHand(super().trained_on(trained).groups)

def catalogue(settings):
    first, *others = CATALOGUE.groups
    hour, *more = first.features
    hour = replace(hour, meaning="Hour in UTC", request=lambda minute, weekday: (minute / 60.0 + 4) % 24)
    return ByHand((replace(first, features=(hour, *more)), *others))
"""

# What training has not seen is refused: one range in place of two.
ONE_RANGE = """
from labserver.errors import Refused

class OneRange:
    def __init__(self, catalogue):
        self.catalogue = catalogue

    def apply(self, matrix):
        return

    def check_override(self, name, value):
        if not self.catalogue[name].trained.seen.holds(value):
            raise Refused(name, "unseen", "what was seen")

def ranges(context):
    return OneRange(context.catalogue)
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
        ("[with_weekend.names.index(name) for name in signature.names]", ": len(signature.names)"),
        # Serving has a definition of its own.
        (
            "with kit.stage(9) as stage:",
            f"skewed = Path(workshop.name) / 'skewed.py'\nskewed.write_text({BY_HAND!r})\n"
            "with kit.stage(9, skewed) as stage:",
        ),
    ],
    1: [
        # The server itself gets the signal.
        (
            "cut_off = stop_under_load(",
            'boxes.build("shipped", SHIPPED, ROOT)\nopened.close()\n'
            'box = opened.enter_context(boxes.start("shipped"))\nbox.wait_until_ready()\ncut_off = stop_under_load(',
        ),
        # The file as it was.
        ("left = len(faults(SHIPPED", "left = len(faults(NAIVE"),
        ('added["shipped"], "MB"', 'added["naive"], "MB"'),
        # Nothing was left out.
        ("if package not in serving) / 1e6", "if package in ()) / 1e6"),
        # A server that drains, where the one that closes its port at once is meant, and the other way round.
        ("with kit.stage(0) as stage:\n    at", "with kit.stage(1, drain_seconds=15) as stage:\n    at"),
        ("with kit.stage(1, drain_seconds=15) as stage:\n    dr", "with kit.stage(0) as stage:\n    dr"),
        # No byte code is in the image: each start compiles everything.
        (
            'box = opened.enter_context(boxes.start("shipped", **SETTINGS))',
            'box = opened.enter_context(boxes.start("shipped", **SETTINGS, PYTHONPYCACHEPREFIX="/nowhere"))',
        ),
        # Outside another rule decides.
        (
            "with kit.stage(9) as stage:",
            "parts = Path(workshop.name) / 'parts.py'\n"
            "parts.write_text('from labserver.stages.naive import handler\\n'\n"
            "    'def decision(context):\\n    return handler.decision(context)')\n"
            "with kit.stage(9, parts) as stage:",
        ),
        # The engine does not wait for the drain.
        ("box.stop(grace_seconds=10)", "box.stop(grace_seconds=0)"),
    ],
    2: [
        # Nothing leaks: the table is as known.
        ("BY_DATE = ALL.replace(", "BY_DATE, _ = ALL, ALL.replace("),
        # Serving looks into the warehouse as it did before the lesson.
        (
            "risks(honest, as_known)",
            "risks(honest, point_in_time(db, ALL.replace('predicted_at AS as_of', "
            "\"TIMESTAMPTZ '2014-01-02' AS as_of\"), CATALOGUE))",
        ),
        ("kit.stage(1) as stage:\n    stage_1", "kit.stage(2) as stage:\n    stage_1"),
        ("kit.stage(2) as stage:\n    stage_2", "kit.stage(1) as stage:\n    stage_2"),
        # One flight after the other, of which twenty are joined and the rest are reckoned.
        (
            'claim(2, "processor seconds for the join of a year", seconds',
            "started = time.perf_counter()\nfor row in range(1, 21):\n"
            "    point_in_time(db, f'{ALL} WHERE flight_id = {row}', CATALOGUE)\n"
            "seconds = (time.perf_counter() - started) / 20 * len(flights)\n"
            'claim(2, "processor seconds for the join of a year", seconds',
        ),
        # The join by date.
        (
            'rows_from_the_future(ALL), "rows"',
            'rows_from_the_future(ALL.replace("predicted_at AS as_of", MIDNIGHT)), "rows"',
        ),
        (
            "changed_by_erasing(ALL, as_known)",
            'changed_by_erasing(*(q := ALL.replace("predicted_at AS as_of", MIDNIGHT), '
            "point_in_time(db, q, CATALOGUE)))",
        ),
    ],
    3: [
        # No bug is seeded.
        ("replace(fanned_out, hour=as_minutes.hour, completion=zeros.completion)", "honest"),
        # The stage after the lesson, and the other way round.
        ("with kit.stage(2) as stage:", "with kit.stage(3) as stage:"),
        ("with kit.stage(3) as stage_three:", "with kit.stage(2) as stage_three:"),
        # One check fewer.
        ('found["golden vectors"] = everywhere(golden)', 'found["golden vectors"] = "passes"'),
        # A check that complains of every flight in the afternoon.
        ("    check_contracts(pipeline.db)", '    assert flights["minute"].max() < 720, "no flight after noon"'),
        # The model was trained on the right hours.
        ('model = models["hhmm read as minutes"]', "model = new_model().fit(table[train], late[train])"),
        # Two days.
        ("timedelta(24)", "timedelta(1)"),
        # The service fills gaps in a way of its own.
        (
            "assemble(stages.parts_of_stage(9), home)",
            'assemble(stages.parts_of_stage(9, {"completion": stages.parts_of_stage(2).completion}), home)',
        ),
        # The whole schema for each request.
        ("lambda: completion.apply(gaps.copy())", "lambda: check_frame(whole, 1, catalogue)"),
        # The live service too.
        (
            "honest_day = parity(stage)",
            "zero_part = Path(workshop.name) / 'zeros.py'\n"
            "zero_part.write_text('from labserver.stages.naive.features import ZeroFill\\n'\n"
            "    'def completion(context): return ZeroFill()\\n')\n"
            "honest_day = parity(kit.stage(9, zero_part))",
        ),
        # Nothing is misread.
        ("with kit.stage(9, part) as skewed:", "with kit.stage(9) as skewed:"),
    ],
    4: [
        # The stage with ranges, where the one without is meant, and the other way round.
        ("with kit.stage(3) as stage:", "with kit.stage(4) as stage:"),
        ("with kit.stage(4) as stage:\n    after", "with kit.stage(3) as stage:\n    after"),
        # Any wind is possible.
        ('possible = catalogue["wind_speed"].possible', 'possible = type(catalogue["wind_speed"].possible)(0, 1e9)'),
        # The finished service without this lesson.
        ("finished = kit.stage(9)", "finished = kit.stage(9, without)"),
        # What training has not seen is refused.
        (
            "raw = point_in_time(db, QUESTIONS + HELD_OUT, CATALOGUE)",
            "raw = point_in_time(db, QUESTIONS + HELD_OUT, CATALOGUE)\n"
            f"narrow = Path(workshop.name) / 'narrow.py'\nnarrow.write_text({ONE_RANGE!r})\n"
            "finished = kit.stage(9, narrow)",
        ),
    ],
    5: [
        # No feature is computed: each query finds nothing.
        (
            "_, handler = assemble(",
            "import labserver.stages.naive.handler as naive\n"
            "def nothing(group):\n"
            "    never = ' AND '.join(f'${name} IS NULL' for name in (*group.entity, 'until'))\n"
            "    return f\"SELECT {', '.join(['NULL'] * (1 + len(group.columns)))} WHERE {never}\"\n"
            "naive.known_by = nothing"
            "\n_, handler = assemble(",
        ),
        # The copy is kept in step.
        ("ZeroFill().apply(table)", "handler._ranges.apply(table), handler._completion.apply(table)"),
        # The setting does not arrive where it should, and does where it should not.
        ("with kit.stage(5, cost_missed_delay=9) as dear:", "with kit.stage(5) as dear:"),
        ("with kit.stage(4, cost_missed_delay=9)", "with kit.stage(5, cost_missed_delay=9)"),
        # Costs the wrong way round.
        ("above = 100 * (cost(ExpectedCost(1, 3)", "above = 100 * (cost(ExpectedCost(3, 1)"),
        # Above one half is what the policy does.
        ("extra = 100 * (cost(0.5, 3)", "extra = 100 * (cost(0.25, 3)"),
        # Looking up means computing.
        ("looking = statistics.median(", "looking = sum(seconds_by_part(flight).values()) + statistics.median("),
        # The careless writer.
        ("rows = rows_changed(publish.advance)", "rows = rows_changed(careless)"),
        # The batches did not run.
        ("catch_up(after)", "after"),
        # The same service twice.
        ('"stage 5": lambda: after.post(', '"stage 5": lambda: before.post('),
        # Kinds mixed up, and answers made when they are due.
        ('lost["batch"][24]', 'lost["live"][24]'),
        ('lost["live"][6]', 'lost["batch"][6]'),
        ('at_four = as_known(f"least(', 'at_four = as_known(f"greatest(predicted_at, '),
        # The command line joins what was known, the store has not heard of it.
        ("catch_up(finished)", "finished"),
    ],
    6: [
        # The loader of stage 5 in the place of the one that verifies.
        ("careful, trusting = stages.parts_of_stage(6).loader", "careful, trusting = stages.parts_of_stage(5).loader"),
        # A stage that unpickles what it finds.
        ("process.running_stage(swapped, 6)", "process.running_stage(swapped, 5)"),
        # Fetched from the store, and unpickled for each request.
        ('copy_of_bundle("polled"), 6', 'copy_of_bundle("polled"), 5'),
    ],
    7: [
        # The threads are left to the library.
        ("pinned = [kit.stage(7), kit.stage(7)]", "pinned = [kit.stage(6), kit.stage(6)]"),
        # The worker without training libraries, where the one with them is meant, and the other way round.
        ("heavy, light = start_up(6), start_up(9)", "light, heavy = start_up(6), start_up(9)"),
        # A limit, where none is meant, and the other way round.
        ("kit.stage(7, concurrency=10_000)", "kit.stage(7, concurrency=1)"),
        ("limited = kit.stage(7, concurrency=limit)", "limited = kit.stage(7, concurrency=10_000)"),
    ],
    8: [
        # A prediction that is hardly more than the trees.
        (
            '{"prediction": lambda: frames.probabilities(row)',
            '{"prediction": lambda p=__import__("labserver.finished").finished.OnnxPredictor('
            '(settings.bundle / "model.onnx").read_bytes()): p.probabilities(row)',
        ),
        # No ONNX Runtime.
        ("return fast.probabilities(reserved)", "return model.predict_proba(reserved)[:, 1]"),
        ('"onnx": lambda rows=rows: fast.', '"onnx": lambda rows=rows: frames.'),
        # One export in place of the other, both ways.
        (
            ").SerializeToString()",
            ").SerializeToString()\nfrom labserver.pipeline.export import export\n"
            "plain, nearest_only = export(model, bundle.signature), plain",
        ),
        ("fixed = export(model, bundle.signature)", "fixed = nearest_only"),
        (
            "unmended, after = kit.stage(8, parts), kit.stage(8)",
            "(Path(workshop.name) / 'plain.onnx').write_bytes(nearest_only)\n"
            "unmended, after = kit.stage(8), kit.stage(8, parts)",
        ),
        # Features of half precision.
        ("different(fast.probabilities(matrix), theirs)", "different(fast.probabilities(half), theirs)"),
        # The general way for both.
        ('"compiled": batch.model_dump_json', '"compiled": lambda: json.dumps(jsonable_encoder(batch))'),
        # Stage 7 in place of stage 8.
        ('"stage 8": (after, 2500)', '"stage 8": (before, 200)'),
    ],
    9: [
        # A request that is refused.
        ("unwatched = kit.stage(8)", 'unwatched = kit.stage(8)\nunwatched.post("/v1/predictions", {})'),
        # Calm days in place of the storm.
        ("STORM = date(2013, 12, 8)", "STORM = date(2013, 9, 8)"),
        # The limits that were measured, in place of the rule of thumb; and the other way round.
        ("(daily > 0.25)", "(daily > 1.5 * reference.worst_day)"),
        (
            "detector = DeviationDetector(catalogue, reference, limits)",
            "from dataclasses import replace\n"
            "detector = DeviationDetector(catalogue, reference, replace(limits, level=limits.level / 3))",
        ),
        # A slow world, in which the mistake has been made from the start.
        ("DAYS = 62", "from labserver.pipeline.incidents import incident\nDAYS = 1"),
        ("DAYS, every=15)", 'DAYS, 7200, every=3, incident=incident("visibility-km"))'),
        # No mistake on the day of the mistake.
        ('{"incident": incident("visibility-km"), "speed"', '{"incident": None, "speed"'),
    ],
}
"""Lesson to pairs of a text that occurs once in its notebook's code, and what takes its place."""


def without(path: Path) -> nbformat.NotebookNode:
    """The notebook with its changes made.

    Raises:
        ValueError: if a text to be changed does not occur exactly once.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    for old, new in CHANGES[lesson_of(path)]:
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        if len(cells) != 1 or cells[0].source.count(old) != 1:
            raise ValueError(f"{path.name}: {old!r} does not occur exactly once")
        cells[0].source = cells[0].source.replace(old, new)
    return notebook


def run(path: Path, home: Path) -> list[Record]:
    """The claims of the changed notebook."""
    notebook = without(path)
    with tempfile.TemporaryDirectory() as folder, running(own_home(home, Path(folder))) as service:
        os.environ |= {"LABSERVER_HOME": str(home), "LABSERVER_URL": service.url}
        place = {"metadata": {"path": str(NOTEBOOKS_FOLDER)}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place, allow_errors=True).execute()
        kept = Path(folder) / path.name
        nbformat.write(notebook, kept)
        return records(kept)


def main(numbers: list[str]) -> int:
    home = Path(os.environ.get("LABSERVER_HOME") or NOTEBOOKS_FOLDER.parent / "var").resolve()
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
