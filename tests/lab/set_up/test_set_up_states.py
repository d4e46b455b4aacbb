"""Environments that look whole and are not: each is seen before anything uses it, and the next set-up repairs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from projects import VERSION, Project


@contextmanager
def replaced(path: Path, content: str | None = None, link: str | None = None) -> Iterator[None]:
    """Something of the environment by something else, or by nothing; back again after the block."""
    kept = path.with_name(path.name + ".kept")
    path.rename(kept)
    if content is not None:
        path.write_text(content)
        path.chmod(0o755)
    if link is not None:
        path.symlink_to(link)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        kept.rename(path)


def test_a_whole_environment_is_left_as_it_is(whole: Project) -> None:
    stamp = whole.venv / ".set-up"
    before = stamp.stat().st_mtime_ns
    done = whole.make()
    assert (done.returncode, done.stdout) == (0, "")
    assert stamp.stat().st_mtime_ns == before
    assert whole.works()


@pytest.mark.parametrize(
    ("path", "content", "link", "said"),
    [
        (".set-up", None, None, "its set-up did not end"),
        (".set-up", "", None, "its set-up did not end"),  # as an earlier Makefile left it
        (".set-up", '{"place": "/', None, "its set-up did not end"),
        ("bin/python", None, None, "its Python does not start"),
        ("bin/python", None, "/nowhere/python3", "its Python does not start"),
        ("pyvenv.cfg", None, None, "its Python is"),
        ("bin/uv", None, None, "its uv does not start"),
        ("bin/uv", "torn", None, "its uv does not start"),
        ("bin/tiny", None, None, "labserver is missing in it"),
        ("PACKAGES/pluggy", None, None, "pluggy is missing in it"),
        ("PACKAGES/six.py", None, None, "six is missing in it"),
        ("PACKAGES/six-1.17.0.dist-info", None, None, "six is missing in it"),
        ("PACKAGES", None, None, "its packages are gone"),
    ],
)
def test_what_is_broken_is_named(whole: Project, path: str, content: str | None, link: str | None, said: str) -> None:
    assert whole.fault() == "whole"
    with replaced(whole.venv / path.replace("PACKAGES", str(whole.packages)), content, link):
        assert said in whole.fault()


def test_another_version_of_a_package_is_no_fault(whole: Project) -> None:
    """Somebody tries the newest packages: the set-up does not take them back."""
    metadata = whole.packages / "six-1.17.0.dist-info"
    other = metadata.rename(metadata.with_name("six-99.0.dist-info"))
    try:
        assert whole.fault() == "whole"
    finally:
        other.rename(metadata)


def test_a_copy_of_the_project_is_not_its_environment(whole: Project, tmp_path: Path) -> None:
    copy = Project(Path(shutil.copytree(whole.root, tmp_path / "copy", symlinks=True)))
    assert copy.fault() == f"it was made in another folder, {whole.venv}"


def test_a_python_of_another_version_is_taken_only_if_it_was_asked_for(whole: Project) -> None:
    assert whole.fault(VERSION) == "whole"
    assert whole.fault("3.99") == f"it is of Python {VERSION}, and 3.99 is asked for"


def test_a_changed_lock_installs_and_makes_nothing_anew(whole: Project) -> None:
    """With a package too many in the lock, then with the lock as it was. The environment's folder stays the same."""
    lock, python = whole.root / "requirements.txt", whole.venv / "pyvenv.cfg"
    before, made = lock.read_text(), python.stat().st_mtime_ns
    for text in (before + "# changed\n", before):
        lock.write_text(text)
        done = whole.make()
        assert done.returncode == 0, done.stdout
        assert "2/3" in done.stdout
        assert "1/3" not in done.stdout
    assert python.stat().st_mtime_ns == made
    assert whole.works()


def test_without_a_network_the_old_packages_stay_in_use(whole: Project) -> None:
    """A lock that asks for what cannot be downloaded: a sentence. The lock as it was: nothing to do."""
    lock = whole.root / "requirements.txt"
    before = lock.read_text()
    lock.write_text(before.replace("six==1.17.0", "six==99.0"))
    try:
        done = whole.make(UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", UV_HTTP_RETRIES="0", UV_NO_CACHE="1")
        assert done.returncode == 2
        assert "error: The package index cannot be reached" in done.stdout
    finally:
        lock.write_text(before)
    assert whole.make().stdout == ""
    assert whole.works()


def test_the_next_set_up_repairs_it(whole: Project) -> None:
    """The folder has another name, one with a blank in it, and the environment's Python was removed."""
    moved = Project(whole.root.rename(whole.root.with_name("renamed é project")))
    for link in moved.venv.glob("bin/python*"):
        link.unlink()
        link.symlink_to("/nowhere/python3")
    try:
        done = moved.make()
        assert done.returncode == 0, done.stdout
        assert done.stdout.startswith(f"Making .venv anew: it was made in another folder, {whole.venv}.\n1/3")
        assert moved.works()
    finally:
        moved.root.rename(whole.root)
