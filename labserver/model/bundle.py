"""The bundle: everything a service start needs, in one folder, with the hash of every file.

Nothing in a bundle can execute. It is written to a temporary folder, renamed, and activated by replacing one link, so
a reader sees the old bundle or the new one, and never half of either.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from labserver.errors import Damaged
from labserver.features.signature import Signature

BUNDLE_FORMAT = 2
MANIFEST = "manifest.json"
BUNDLE_FILES = ("catalogue.json", "model.onnx", "online.db", "reference.json", "vocabulary.json")


class Golden(TypedDict):
    """One vector and the build's probability for it, checked before a service reports that it is ready."""

    vector: list[float]
    probability: float


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: the folder.
        manifest: as written, with ``bundle_hash``, ``model_version``, ``signature``, ``metrics`` and ``golden``.
        model: content of the ONNX file.
        catalogue: the catalogue's description, with what training saw.
        reference: statistics of each feature and of the score over the training window.
        vocabulary: the codes that requests may use, by field.
    """

    path: Path
    manifest: Mapping[str, Any]
    model: bytes
    catalogue: Mapping[str, Any]
    reference: Mapping[str, Any]
    vocabulary: Mapping[str, Any]

    @property
    def signature(self) -> Signature:
        """The features that the model wants.

        Raises:
            Damaged: if the manifest does not say so.
        """
        try:
            return Signature.read(self.manifest["signature"]["input"]["features"])
        except (KeyError, TypeError):
            raise _damaged(self.path, MANIFEST, "does not say which features the model wants") from None

    @property
    def name(self) -> str:
        """The first 16 digits of its hash. They name its folder and, in the state, its online store."""
        return str(self.manifest["bundle_hash"])[:16]

    @property
    def snapshot(self) -> Path:
        """The online store as known at the end of the training window."""
        return self.path / "online.db"


def sha256(path: Path) -> str:
    """The file's SHA-256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(data: object) -> bytes:
    """JSON with sorted keys: the same data give the same bytes."""
    return (json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def hash_manifest(manifest: Mapping[str, Any]) -> str:
    """The bundle's hash: over its manifest, and so over every file, but not over the time of building."""
    fixed = {key: value for key, value in manifest.items() if key not in {"built_at", "bundle_hash"}}
    return hashlib.sha256(to_json(fixed)).hexdigest()


def write_bundle(link: Path, manifest: dict[str, Any], fill: Callable[[Path], None]) -> str:
    """Write a bundle and activate it.

    Args:
        link: the link to the active bundle; bundles themselves are kept in ``bundles/`` beside it.
        manifest: everything but the format, the files and the hash.
        fill: writes :data:`BUNDLE_FILES` into the folder that it gets.

    Returns:
        The bundle's hash.
    """
    shelf = link.parent / "bundles"
    shelf.mkdir(parents=True, exist_ok=True)
    for abandoned in shelf.glob("writing.*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=shelf, prefix="writing."))
    folder.chmod(0o755)
    fill(folder)
    files = {name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in BUNDLE_FILES}
    manifest = {"format": BUNDLE_FORMAT, "files": files, **manifest}
    manifest["bundle_hash"] = hash_manifest(manifest)
    (folder / MANIFEST).write_bytes(to_json(manifest))
    for name in (*BUNDLE_FILES, MANIFEST):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    final = shelf / manifest["bundle_hash"][:16]
    if _is_whole(final):  # the same bundle again: only the time of building is new
        (folder / MANIFEST).replace(final / MANIFEST)
        shutil.rmtree(folder)
    else:
        if final.exists():
            final.rename(shelf / f"writing.{folder.name}.old")
        folder.rename(final)
    draft = link.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("bundles") / final.name)
    draft.replace(link)
    for old in sorted(shelf.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-2]:
        shutil.rmtree(old, ignore_errors=True)
    return str(manifest["bundle_hash"])


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and verify every byte of it.

    Raises:
        Damaged: if a file is changed, missing or not in the manifest; names the file and says what to run.
    """
    if not path.exists():
        raise Damaged(f"There is no bundle at {path}. Run `labserver build`.")
    path = path.resolve()
    try:
        return _verified(path)
    except PermissionError as error:
        raise _damaged(path, Path(error.filename).name, f"is not readable ({error.strerror})") from None


def _verified(path: Path) -> Bundle:
    manifest = _read_manifest(path)
    expected = {MANIFEST, *manifest["files"]}
    present = {file.name for file in path.iterdir()}
    for name in sorted(expected - present):
        raise _damaged(path, name, "is missing")
    for name in sorted(present - expected):
        raise _damaged(path, name, "does not belong to it")
    for name, entry in manifest["files"].items():
        if not (path / name).is_file() or sha256(path / name) != entry["sha256"]:
            raise _damaged(path, name, "was changed")
    return Bundle(
        path=path,
        manifest=manifest,
        model=(path / "model.onnx").read_bytes(),
        catalogue=_read_json(path, "catalogue.json"),
        reference=_read_json(path, "reference.json"),
        vocabulary=_read_json(path, "vocabulary.json"),
    )


def _is_whole(path: Path) -> bool:
    try:
        load_bundle(path)
    except Damaged:
        return False
    return True


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        if manifest["format"] != BUNDLE_FORMAT:
            raise _damaged(path, MANIFEST, f"has format {manifest['format']}, this code reads {BUNDLE_FORMAT}")
        if manifest["bundle_hash"] != hash_manifest(manifest) or set(manifest["files"]) != set(BUNDLE_FILES):
            raise _damaged(path, MANIFEST, "was changed")
    except FileNotFoundError:
        raise _damaged(path, MANIFEST, "is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path, MANIFEST, "is not readable") from None
    return dict(manifest)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    """Check the content of a file too: anyone who can write the manifest can write its hashes."""
    try:
        return dict(json.loads((path / name).read_bytes()))
    except (ValueError, TypeError):
        raise _damaged(path, name, "is not readable") from None


def _damaged(path: Path, name: str, what: str) -> Damaged:
    return Damaged(f"The bundle at {path} is not whole: {name} {what}. Run `labserver build`.")
