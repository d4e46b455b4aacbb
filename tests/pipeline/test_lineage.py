"""What the registry knows of a build: its code, its data, and who ran it."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labserver import __version__
from labserver.model.bundle import SIGNATURE_FILE, Bundle, load_bundle, shelf
from labserver.model.registry import read_registry
from labserver.pipeline import lineage as lineages
from labserver.pipeline.lineage import data_hash, lineage, operator, revision
from labserver.pipeline.signing import PRIVATE, PUBLIC, new_keys
from labserver.pipeline.sources.warehouse import source_files
from labserver.settings import ROOT, Settings


def test_an_entry_says_where_a_bundle_comes_from(bundle: Bundle) -> None:
    entry = lineage(bundle, Settings(operator="ada"), "a reason")
    manifest = bundle.manifest
    assert (entry.bundle_hash, entry.model_version) == (manifest["bundle_hash"], manifest["model_version"])
    assert (entry.features_version, entry.built_at) == (bundle.features_version, manifest["built_at"])
    assert (entry.built_by, entry.why, entry.package_version) == ("ada", "a reason", __version__)
    scores = manifest["metrics"]["model"]
    assert (entry.auc, entry.brier) == (scores["auc"], scores["brier"])


def test_who_runs_it_is_the_setting_else_the_login_name_else_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator(Settings(operator="ada")) == "ada"
    assert operator(Settings(operator="")) == getpass.getuser()

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator(Settings(operator="")) == str(os.getuid())


def test_the_hash_of_the_data_is_over_each_file_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_hash() == data_hash()
    files = {name: Path(shutil.copy(path, tmp_path)) for name, path in source_files().items()}
    monkeypatch.setattr(lineages, "source_files", lambda: files)
    lines = sorted(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files.values())
    before = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert data_hash() == before
    with files["airlines"].open("ab") as file:
        file.write(b"\n")
    assert data_hash() != before


def test_the_revision_is_gits_and_says_if_a_file_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineages, "ROOT", tmp_path)
    assert revision() == "unknown", "no clone"

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    git("tag", "-a", "v1", "-m", "a tag is no revision")
    clean = revision()
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("two")
    assert revision() == f"{clean}-dirty"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision() == "unknown", "no git"


@pytest.mark.slow
def test_a_candidate_is_registered_and_signed_and_changes_nothing_that_serves(home: Path, tmp_path: Path) -> None:
    """The same bundle again, which is now signed, then as the champion of a home of its own."""
    new_keys(tmp_path / "keys")
    own = tmp_path / "home"
    shutil.copytree(home / "teaching", own / "teaching")
    name = (home / "bundle").resolve().name
    shutil.copytree(home / "bundles" / name, shelf(own) / name)
    experiment = (own / "teaching/experiment.json").read_bytes()
    environment = os.environ | {
        "LABSERVER_HOME": str(own),
        "LABSERVER_SIGNING_KEY": str(tmp_path / "keys" / PRIVATE),
        "LABSERVER_PUBLIC_KEY": str(tmp_path / "keys" / PUBLIC),
        "LABSERVER_OPERATOR": "grace",
    }

    def labserver(*arguments: str) -> str:
        command = [sys.executable, "-m", "labserver", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = labserver("build", "--candidate", "--why", "to try it")
    registry = read_registry(own)
    assert registry
    assert not (own / "bundle").exists()
    assert (own / "teaching/experiment.json").read_bytes() == experiment
    entry = registry.bundles[-1]
    assert entry.name == name, "or labserver changed since the home folder was built"
    assert f"Bundle {name} is a candidate: `labserver bundles promote {name[:6]} --why TEXT`" in said
    assert (registry.role(entry), entry.why, entry.built_by) == ("candidate", "to try it", "grace")
    assert entry.data_hash == data_hash()
    assert (shelf(own) / name / SIGNATURE_FILE).exists()
    labserver("bundles", "promote", name[:4], "--why", "it is good")
    assert load_bundle(own / "bundle").name == name
    registry = read_registry(own)
    assert registry
    assert [event.what for event in registry.journal[-2:]] == ["built", "promoted"]
