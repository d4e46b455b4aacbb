"""Lesson 6: bundles broken in the ways in which bundles break, and the service that must not start with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exercises.checks.attempt import Attempt
from exercises.checks.result import CheckFinding
from labserver.errors import Damaged, LabError
from labserver.model.bundle import MANIFEST, hash_manifest, load_bundle, to_json


@dataclass(frozen=True)
class Breakage:
    """A kind of damage to a bundle.

    Attributes:
        what: the loader's expected behaviour.
        file: the file that the error must name.
        spoil: breaks the bundle in a folder.
        why: what happens in a service that does not check.
        mistake: short name of the mistake of a loader that lets it through.
    """

    what: str
    file: str
    spoil: Callable[[Path], None]
    why: str
    mistake: str


def flip(path: Path) -> None:
    """One bit, in the middle: the size stays, and most such models still load and answer."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """As a copy that was broken off."""
    path.write_bytes(path.read_bytes()[:-1000])


def add_pickle(path: Path) -> None:
    """A harmless one. It is never loaded here."""
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")


def edit_manifest(path: Path) -> None:
    """Somebody who changes a threshold by hand."""
    manifest = json.loads(path.read_bytes())
    manifest["model_version"] = "edited by hand"
    path.write_bytes(to_json(manifest))


def forget_in_manifest(path: Path) -> None:
    """A manifest that is consistent, and does not list a file that is in the folder."""
    manifest = json.loads(path.read_bytes())
    del manifest["files"]["vocabulary.json"]
    manifest["bundle_hash"] = hash_manifest(manifest)
    path.write_bytes(to_json(manifest))


BREAKAGES = (
    Breakage(
        "A model with one flipped bit is refused.",
        "model.onnx",
        lambda folder: flip(folder / "model.onnx"),
        "It has the right size and still loads. Its answers are wrong, and nothing says so.",
        "only-size-checked",
    ),
    Breakage(
        "A snapshot that was cut off is refused.",
        "online.db",
        lambda folder: cut(folder / "online.db"),
        "SQLite opens it, and fails at the first row that is not there: in the middle of a request.",
        "file-not-hashed",
    ),
    Breakage(
        "A file that is missing is named.",
        "reference.json",
        lambda folder: (folder / "reference.json").unlink(),
        "A FileNotFoundError with a traceback says where the code failed, not what to do.",
        "missing-file-unhandled",
    ),
    Breakage(
        "A file that does not belong is refused.",
        "model.pkl",
        lambda folder: add_pickle(folder / "model.pkl"),
        "Some day somebody's code loads every file in the folder, and a pickle runs the code in it.",
        "extra-file-accepted",
    ),
    Breakage(
        "An edited manifest is refused.",
        MANIFEST,
        lambda folder: edit_manifest(folder / MANIFEST),
        "Hashes protect files only as far as the list of hashes is protected.",
        "manifest-not-verified",
    ),
    Breakage(
        "A file that is not in the manifest is refused.",
        "vocabulary.json",
        lambda folder: forget_in_manifest(folder / MANIFEST),
        "It would be read unverified.",
        "extra-file-accepted",
    ),
    Breakage(
        "A manifest that is no JSON is refused.",
        MANIFEST,
        lambda folder: cut(folder / MANIFEST),
        "The first thing that is read is the first thing that can be broken.",
        "unreadable-manifest-unhandled",
    ),
)


def check(attempt: Attempt) -> Iterator[CheckFinding | str]:
    """Seven broken bundles in this process, one of them and a whole one in the live service."""
    loader: Callable[[Path], Any] = attempt.own()["loader"]
    whole = attempt.settings.bundle.resolve()
    expected = load_bundle(whole)
    got = loader(attempt.settings.bundle)
    same = got.manifest == expected.manifest and got.model == expected.model
    yield CheckFinding(
        "The bundle that was built is loaded.",
        same,
        sent=f"bundle {expected.manifest['bundle_hash'][:16]}",
        received="the same bundle" if same else "another one",
        expected="the same bundle",
        why="A loader that refuses everything is safe, and of no use.",
    )
    caught = 0
    for number, breakage in enumerate(BREAKAGES):
        folder = attempt.settings.home / f"broken-{number}"
        shutil.copytree(whole, folder)
        breakage.spoil(folder)
        found = refused(loader, folder, breakage)
        caught += found.passed
        yield found
    yield f"{caught} of {len(BREAKAGES)} broken bundles refused by name"
    if same and caught == len(BREAKAGES):  # a service is started only for a loader that deserves it
        yield from live(attempt)


def refused(loader: Callable[[Path], Any], folder: Path, breakage: Breakage) -> CheckFinding:
    """A finding on whether the loader rejects the folder, in a sentence that names the file."""
    try:
        loader(folder)
        received, passed = "it was loaded", False
    except Damaged as error:
        received, passed = f"Damaged: {error}", breakage.file in str(error)
    except Exception as error:
        received, passed = f"{type(error).__name__}: {error}", False
    return CheckFinding(
        breakage.what,
        passed,
        sent=f"a bundle in which {breakage.file} is at fault",
        received=received[:300],
        expected=f"Damaged, with a sentence that names {breakage.file}",
        why=breakage.why,
        mistake="" if passed else "file-not-named" if received.startswith("Damaged") else breakage.mistake,
    )


def live(attempt: Attempt) -> Iterator[CheckFinding]:
    """The service with this loader: it starts with the whole bundle, and not with a broken one."""
    with attempt.service() as service:
        status = service.post("/v1/predictions", attempt.flights("2013-10-15", 1)[0]).status_code
    yield CheckFinding(
        "The live service loads with it and answers.",
        status == 200,
        sent="POST /v1/predictions with a real flight",
        received=str(status),
        expected="200",
    )
    broken = attempt.settings.home / "broken-0"
    (attempt.settings.bundle).unlink()
    attempt.settings.bundle.symlink_to(broken)
    try:
        with attempt.service():
            received = "it started, and said that it is ready"
    except LabError as error:
        received = str(error)
    passed = "model.onnx" in received
    yield CheckFinding(
        "The live service does not start with a changed model.",
        passed,
        sent="a bundle whose model has one flipped bit",
        received=received[-300:],
        expected="no start, and a sentence that names model.onnx",
        why="A service that does not start is noticed in the deploy. One with a wrong model is noticed by customers.",
        mistake="" if passed else "starts-with-a-broken-bundle",
    )
