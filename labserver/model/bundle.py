"""The bundle: everything a service start needs, in one folder, with the hash of every file.

Nothing in a bundle can execute. It is written to a temporary folder, renamed, and activated by replacing one link, so
a reader sees the old bundle or the new one, and never half of either.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labserver.errors import Damaged
from labserver.features.signature import Signature
from labserver.model.panel import GoldenPanel
from labserver.writing import sync_folder

BUNDLE_FORMAT = 4
MANIFEST = "manifest.json"
GOLDEN = "golden.json"
SBOM = "sbom.cdx.json"
"""The packages that serve it, as CycloneDX."""
SIGNATURE_FILE = "manifest.sig"
"""Of who built it, if it is signed; see ``labserver.model.signing``. The hashes leave it out: it is over them."""
ABANDONED = "writing."
"""Beginning of the names of folders that hold no whole bundle: of one that is written, or on its way out."""
BUNDLE_NAME = re.compile("[0-9a-f]{16}")
"""See :attr:`Bundle.name`."""
BUNDLE_FILES = ("catalogue.json", GOLDEN, "model.onnx", "online.db", "reference.json", SBOM, "vocabulary.json")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: the folder.
        manifest: as written, with ``bundle_hash``, ``model_version``, ``signature`` and ``metrics``.
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
        """The first 16 digits of its hash. They name its folder."""
        return str(self.manifest["bundle_hash"])[:16]

    @property
    def features_version(self) -> str:
        """The version of the catalogue that its values were computed with. It names the online store in the state.

        Raises:
            Damaged: if the manifest does not hold one: it becomes part of a path.
        """
        version = self.manifest.get("features_version")
        if not isinstance(version, str) or not re.fullmatch(r"[0-9a-f]{12,64}", version):
            raise _damaged(self.path, MANIFEST, "does not name the version of its features")
        return version

    @property
    def golden(self) -> GoldenPanel:
        """Rows with the trained model's answers, checked before a service reports that it is ready.

        Raises:
            Damaged: if the file is none.
        """
        try:
            return GoldenPanel.read(_read_json(self.path, GOLDEN), len(self.signature.features))
        except (KeyError, TypeError, ValueError):
            raise _damaged(self.path, GOLDEN, "does not hold rows of the model's features with their answers") from None

    @property
    def sbom(self) -> Mapping[str, Any]:
        """The packages that serve it, as CycloneDX; see ``labserver.pipeline.sbom``.

        Raises:
            Damaged: if the file is not JSON.
        """
        return _read_json(self.path, SBOM)

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


def shelf(home: Path) -> Path:
    """The folder with the bundles of a home, each in a folder of its :attr:`Bundle.name`."""
    return home / "bundles"


def add_bundle(
    home: Path,
    manifest: dict[str, Any],
    fill: Callable[[Path], None],
    sign: Callable[[str], bytes] | None = None,
) -> str:
    """Write a bundle to a home's others. It serves once :func:`activate` names it.

    Args:
        home: the folder of everything built.
        manifest: everything but the format, the files and the hash.
        fill: writes :data:`BUNDLE_FILES` into the folder that it gets.
        sign: from the bundle's hash to the content of :data:`SIGNATURE_FILE`; None leaves the bundle without one.

    Returns:
        The bundle's hash.
    """
    bundles = shelf(home)
    bundles.mkdir(parents=True, exist_ok=True)
    for abandoned in bundles.glob(f"{ABANDONED}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=bundles, prefix=ABANDONED))
    folder.chmod(0o755)
    fill(folder)
    files = {name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in BUNDLE_FILES}
    manifest = {"format": BUNDLE_FORMAT, "files": files, **manifest}
    manifest["bundle_hash"] = hash_manifest(manifest)
    (folder / MANIFEST).write_bytes(to_json(manifest))
    if sign:
        (folder / SIGNATURE_FILE).write_bytes(sign(manifest["bundle_hash"]))
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)
    final = bundles / manifest["bundle_hash"][:16]
    if _is_whole(final):  # the same bundle again: only the time of building is new, and the signature perhaps
        for name in (SIGNATURE_FILE, MANIFEST) if sign else (MANIFEST,):
            (folder / name).replace(final / name)
        shutil.rmtree(folder)
    else:
        if final.exists():
            final.rename(bundles / f"{folder.name}.old")
        folder.rename(final)
    sync_folder(bundles)
    return str(manifest["bundle_hash"])


def activate(link: Path, bundle_hash: str) -> None:
    """Make a link to the active bundle name another one of its home. A reader gets one or the other."""
    draft = link.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("bundles") / bundle_hash[:16])
    draft.replace(link)
    sync_folder(link.parent)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and verify every byte of it.

    Raises:
        Damaged: if a file is changed, missing or not in the manifest; names the file and says what to run.
    """
    if not path.exists():
        raise Damaged(f"There is no bundle at {path}. Run `labserver build`.")
    path = path.resolve()
    with _readable(path):
        manifest = _read_manifest(path)
        expected = {MANIFEST, *manifest["files"]}
        present = {file.name for file in path.iterdir()}
        for name in sorted(expected - present):
            raise _damaged(path, name, "is missing")
        for name in sorted(present - expected - {SIGNATURE_FILE}):
            raise _damaged(path, name, "does not belong to it")
        for name, entry in manifest["files"].items():
            if not (path / name).is_file() or sha256(path / name) != entry["sha256"]:
                raise _damaged(path, name, "was changed")
        _read_json(path, SBOM)  # nothing here needs it, but a scanner that does must be able to read it
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


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name a file of the bundle that this user may not read."""
    try:
        yield
    except PermissionError as error:
        raise _damaged(path, Path(error.filename).name, f"is not readable ({error.strerror})") from None


def _damaged(path: Path, name: str, what: str) -> Damaged:
    return Damaged(f"The bundle at {path} is not whole: {name} {what}. Run `labserver build`.")
