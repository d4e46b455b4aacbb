"""A build is current if everything that it makes is there and is of this code."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labserver.model.bundle import Bundle
from labserver.pipeline.freshness import is_current
from labserver.pipeline.sbom import LOCK, is_of_this_lock
from labserver.running.process import scratch_home
from labserver.settings import Settings


@pytest.fixture
def own(settings: Settings) -> Iterator[Settings]:
    """What was built, by links, and an experiment folder that a test may change."""
    with scratch_home(settings) as home:
        home.teaching.unlink()
        home.teaching.mkdir()
        home.experiment.symlink_to(settings.experiment)
        shutil.copy(settings.experiment.with_suffix(".json"), home.teaching)
        yield home


def test_a_whole_build_is_current(own: Settings) -> None:
    assert is_current(own)


@pytest.mark.parametrize("missing", ["warehouse", "bundle", "experiment"])
def test_a_build_without_one_of_its_parts_is_not_current(own: Settings, missing: str) -> None:
    """The experiment's description alone is no experiment: it stays, and the pickle beside it is gone."""
    getattr(own, missing).unlink()
    assert not is_current(own)


@pytest.mark.parametrize("content", [None, "", "[]", "{}"], ids=["none", "empty", "a list", "without an author"])
def test_an_experiment_without_a_description_is_not_current(own: Settings, content: str | None) -> None:
    description = own.experiment.with_suffix(".json")
    if content is None:
        description.unlink()
    else:
        description.write_text(content)
    assert not is_current(own)


def test_a_store_that_fits_is_current_and_one_of_other_features_is_not(own: Settings, bundle: Bundle) -> None:
    own.state.mkdir()
    shutil.copyfile(bundle.snapshot, own.online_store(bundle.features_version))
    assert is_current(own)
    with closing(sqlite3.connect(own.online_store(bundle.features_version))) as store, store:
        store.execute("UPDATE groups SET version = 'another'")
    assert not is_current(own)


def test_a_bundle_of_other_packages_is_not_current(
    own: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bundle lists them: an image that is built from it would not hold what its list says."""
    other = tmp_path / "requirements.txt"
    other.write_text(LOCK.read_text() + "# changed\n")
    monkeypatch.setattr("labserver.pipeline.freshness.is_of_this_lock", lambda listed: is_of_this_lock(listed, other))
    assert not is_current(own)
