"""Before lesson 6 every file in the folder is trusted and run; from then on only the files that the build wrote."""

from __future__ import annotations

import http.server
import json
import pickle
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

import labserver
from labserver.errors import Damaged, LabError
from labserver.features.flight import Flight
from labserver.features.signature import Signature
from labserver.model.bundle import Bundle
from labserver.parts import assemble
from labserver.pipeline.experiment import write_experiment
from labserver.settings import Settings
from labserver.stages.contents import parts_of_stage
from labserver.stages.naive.loading import OneRowFrames

FLIGHT = Flight("UA", 1545, "EWR", "IAH", "N14228", datetime(2013, 9, 1, 10, 30, tzinfo=UTC))


class Bomb:
    """A pickle may name any function: this one leaves a file behind and could have done anything else."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._trace,))


@pytest.fixture
def copied(home: Path, tmp_path: Path) -> Settings:
    """A home whose experiment and bundle may be changed."""
    (tmp_path / "warehouse.duckdb").symlink_to((home / "warehouse.duckdb").resolve())
    shutil.copytree(home / "bundle", tmp_path / "bundle")
    shutil.copytree(home / "teaching", tmp_path / "teaching")
    return Settings(home=tmp_path)


def test_until_lesson_6_a_changed_pickle_is_run_and_from_then_on_refused_unrun(copied: Settings) -> None:
    _, service = assemble(parts_of_stage(5), copied)
    assert 0 < service.predict(FLIGHT).probability < 1
    trace = copied.home / "anything"
    copied.experiment.write_bytes(pickle.dumps({"model": Bomb(trace)}))
    with pytest.raises(AttributeError):
        service.predict(FLIGHT)
    assert trace.exists()
    trace.unlink()
    for lesson in (6, 7):
        with pytest.raises(Damaged, match=r"experiment\.pkl is not the file that the build of this bundle wrote"):
            assemble(parts_of_stage(lesson), copied)
    assert not trace.exists()
    copied.experiment.unlink()
    for lesson in (5, 6):
        with pytest.raises(Damaged, match="Run `labserver build`"):
            assemble(parts_of_stage(lesson), copied)
    assemble(parts_of_stage(8), copied)


def test_an_experiment_of_another_bundle_is_refused(copied: Settings) -> None:
    written = copied.experiment.with_suffix(".json")
    written.write_text(json.dumps({**json.loads(written.read_text()), "bundle_hash": "0" * 64}))
    with pytest.raises(Damaged, match="is not the file that the build of this bundle wrote"):
        assemble(parts_of_stage(6), copied)


def test_until_lesson_6_a_changed_bundle_is_believed(copied: Settings) -> None:
    vocabulary = copied.bundle / "vocabulary.json"
    vocabulary.write_text(vocabulary.read_text().replace('"UA"', '"ZZ"'))
    assert "ZZ" in parts_of_stage(5).loader(copied.bundle).vocabulary["carrier"]
    with pytest.raises(Damaged, match=r"vocabulary\.json was changed"):
        parts_of_stage(6).loader(copied.bundle)
    vocabulary.unlink()
    with pytest.raises(Damaged, match="There is no readable bundle"):
        parts_of_stage(5).loader(copied.bundle)


def test_at_every_stage_a_signature_that_disagrees_with_the_catalogue_stops_the_start(copied: Settings) -> None:
    path = copied.bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["signature"]["input"]["features"][3]["version"] = "0" * 12
    path.write_text(json.dumps(manifest))
    for lesson in (0, 5):
        with pytest.raises(LabError, match=r"it wants plane_age in version 000000000000, where the catalogue has"):
            assemble(parts_of_stage(lesson), copied)
    with pytest.raises(Damaged, match=r"manifest\.json was changed"):
        assemble(parts_of_stage(6), copied)


@pytest.fixture
def store(home: Path) -> Iterator[str]:
    """A model store: a folder behind HTTP."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(home / "teaching"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/experiment.pkl"
        server.shutdown()
        thread.join()


def test_until_lesson_6_nothing_starts_while_the_model_store_is_down(copied: Settings, store: str) -> None:
    expected = assemble(parts_of_stage(5), copied)[1].predict(FLIGHT).probability
    copied.experiment.unlink()
    fetching = copied.model_copy(update={"model_store": store})
    assert assemble(parts_of_stage(5), fetching)[1].predict(FLIGHT).probability == expected
    for address in (store.replace("experiment", "nothing"), "http://127.0.0.1:9/experiment.pkl", "no address"):
        down = copied.model_copy(update={"model_store": address})
        with pytest.raises(LabError, match=f"The model store at {address} does not give the model"):
            assemble(parts_of_stage(5), down)
        assemble(parts_of_stage(8), down)


def test_the_experiment_holds_the_model_and_what_it_was_compared_with_and_judged_on(settings: Settings) -> None:
    experiment = pickle.loads(settings.experiment.read_bytes())
    assert set(experiment) == {"model", "baselines", "scores", "held_out"}
    assert len(experiment["held_out"]) > 100_000


def test_an_experiment_whose_model_wants_other_features_is_refused(copied: Settings) -> None:
    experiment = pickle.loads(copied.experiment.read_bytes())
    experiment["model"].feature_names_in_ = experiment["model"].feature_names_in_[::-1]
    bundle_hash = json.loads(copied.experiment.with_suffix(".json").read_text())["bundle_hash"]
    write_experiment(copied.experiment, experiment, bundle_hash)
    with pytest.raises(Damaged, match="model wants other features than the bundle's"):
        assemble(parts_of_stage(6), copied)


def least(call: Callable[[], object]) -> float:
    """Processor seconds of the cheapest of seven calls, of one thread: independent of other processes."""
    spent = []
    for _ in range(7):
        started = time.thread_time()
        call()
        spent.append(time.thread_time() - started)
    return min(spent)


def test_unpickling_costs_more_than_a_prediction(settings: Settings, bundle: Bundle) -> None:
    content = settings.experiment.read_bytes()
    experiment = pickle.loads(content)
    model = OneRowFrames(experiment, bundle.signature, threads=1)
    row = experiment["held_out"][list(bundle.signature.names)].to_numpy(np.float32)[:1]
    assert least(lambda: pickle.loads(content)) > least(lambda: model.probabilities(row))


class Spy:
    """A model that notes what it is given, and how many threads it may take."""

    def predict_proba(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        self.frame = frame
        self.threads = [library["num_threads"] for library in openmp().info()]
        return np.array([[0.25, 0.75]] * len(frame))


def openmp() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="openmp")


def test_a_row_becomes_a_frame_and_threads_are_the_librarys_unless_pinned() -> None:
    import sklearn  # noqa: F401  (brings OpenMP)

    spy, signature = Spy(), Signature((("a", "1"), ("b", "1")))
    default = [library["num_threads"] for library in openmp().info()]
    assert default
    row = np.array([[1.5, 2.0]], np.float32)
    assert OneRowFrames({"model": spy}, signature, None).probabilities(row).tolist() == [0.75]
    assert spy.frame.to_dict("records") == [{"a": 1.5, "b": 2.0}]
    assert spy.threads == default
    for threads in (1, 3):
        OneRowFrames({"model": spy}, signature, threads).probabilities(row)
        assert spy.threads == [threads] * len(default)
    assert [library["num_threads"] for library in openmp().info()] == default


def test_only_the_contents_page_knows_the_naive_parts() -> None:
    """By name: nothing imports them but what teaches, and the others here would not be replaced by a lesson."""
    root = Path(labserver.__file__).parent
    naming = {path.relative_to(root) for path in root.rglob("*.py") if "stages.naive" in path.read_text()}
    naive = Path("stages/naive")
    assert {path for path in naming if naive not in path.parents} == {Path("stages/contents.py")}
