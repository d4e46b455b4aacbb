"""Bundles that were damaged, or that someone put something into."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from services import own_home, refusal
from table import Note

from labserver.errors import Damaged
from labserver.model.bundle import BUNDLE_FILES, MANIFEST, hash_manifest, load_bundle, sha256, to_json

Spoil = Callable[[Path], None]


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncated(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def removed(file: Path) -> None:
    file.unlink()


SPOILT: dict[Spoil, str] = {flipped: "one bit flipped", truncated: "cut in half", removed: "removed"}


def copied(home: Path, folder: Path) -> Path:
    """A home of its own with a bundle of its own; the bundle's path."""
    bundle = own_home(home, folder) / "bundle"
    bundle.unlink()
    shutil.copytree((home / "bundle").resolve(), bundle)
    return bundle


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_a_spoilt_file_is_named_and_nothing_starts(
    home: Path, tmp_path: Path, full: bool, note: Note, spoil: Spoil
) -> None:
    """In small numbers, one file in a process of its own and the others in this one, by the same function."""
    files, served, named = (*BUNDLE_FILES, MANIFEST), 0, 0
    bundle = copied(home, tmp_path)
    for number, name in enumerate(files):
        whole = (bundle / name).read_bytes()
        spoil(bundle / name)
        if full or number == list(SPOILT).index(spoil):
            code, printed = refusal(tmp_path)
            served += code == 0 or any((tmp_path / "state").glob("online*"))
        else:
            with pytest.raises(Damaged) as refused:
                load_bundle(bundle)
            printed = str(refused.value)
        named += f"{name} " in printed and "labserver build" in printed
        (bundle / name).write_bytes(whole)
    note(f"each file of the bundle {SPOILT[spoil]}", len(files), served, f"{named} refused with the file's name")
    assert (served, named) == (0, len(files))
    assert load_bundle(bundle)


def test_every_bit_of_the_manifest_counts(home: Path, tmp_path: Path, full: bool, note: Note) -> None:
    """But for the time of building, which is not part of what is served."""
    bundle = copied(home, tmp_path)
    manifest = bundle / MANIFEST
    whole, accepted, tried = manifest.read_bytes(), 0, 0
    for place in range(0, len(whole), 1 if full else 29):
        changed = bytearray(whole)
        changed[place] ^= 1
        manifest.write_bytes(changed)
        tried += 1
        try:
            read = load_bundle(bundle).manifest
        except Damaged:
            continue
        accepted += {**read, "built_at": ""} != {**json.loads(whole), "built_at": ""}
    note("one bit of the manifest flipped, anywhere", tried, accepted, "refused, or the same manifest")
    assert accepted == 0


class Malicious:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def agree(bundle: Path, name: str) -> None:
    """Make the manifest agree with a changed file: anyone who can change one can change the other."""
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    manifest["files"][name] = {"sha256": sha256(bundle / name), "bytes": (bundle / name).stat().st_size}
    manifest["bundle_hash"] = hash_manifest(manifest)
    (bundle / MANIFEST).write_bytes(to_json(manifest))


def test_a_pickle_in_the_bundle_is_never_loaded(home: Path, tmp_path: Path, note: Note) -> None:
    mark = tmp_path / "mark"
    poison = pickle.dumps(Malicious(mark))
    pickle.loads(poison)
    assert mark.exists()  # it works
    mark.rmdir()
    started, printed = 0, []
    for number, name in enumerate(("model.pkl", *BUNDLE_FILES)):
        bundle = copied(home, tmp_path / str(number))
        (bundle / name).write_bytes(poison)
        if name in BUNDLE_FILES:
            agree(bundle, name)
        code, said = refusal(tmp_path / str(number))
        started += code == 0
        printed.append(said)
        assert code == 1, said
    ran = int(mark.exists())
    note(
        "a malicious pickle beside or in place of each file, hashes made to agree",
        len(printed),
        ran + started,
        "never loaded; start refused",
    )
    assert (ran, started) == (0, 0)
    assert "model.pkl does not belong to it" in printed[0]
