"""A bundle is whole or it is refused, and the same inputs give the same one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rewritten import added, rewrite

from labserver.errors import Damaged
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import (
    BUNDLE_FILES,
    MANIFEST,
    Bundle,
    activate,
    add_bundle,
    hash_manifest,
    load_bundle,
    to_json,
)
from labserver.pipeline.build import build
from labserver.settings import Settings

ALL = (*BUNDLE_FILES, MANIFEST)


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that may be changed."""
    return Path(shutil.copytree(bundle.path, tmp_path / "bundle"))


def damaged(folder: Path, name: str, what: str) -> str:
    with pytest.raises(Damaged) as caught:
        load_bundle(folder)
    message = str(caught.value)
    assert message.startswith(f"The bundle at {folder.resolve()} is not whole: {name} {what}")
    assert message.endswith("Run `labserver build`.")
    return message


@pytest.mark.slow
def test_two_builds_of_the_same_inputs_give_the_same_bundle(bundle: Bundle, tmp_path: Path) -> None:
    built = build(Settings(home=tmp_path), CATALOGUE, lambda line: None)
    again = load_bundle(tmp_path / "bundle")
    assert again.manifest["files"] == bundle.manifest["files"], "or labserver changed since the home folder was built"
    assert built.bundle_hash == again.manifest["bundle_hash"] == bundle.manifest["bundle_hash"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("warehouse.duckdb", "bundle", "bundles", "teaching"),
        *("releases.json", "releases.lock"),
    }


def test_a_whole_bundle_is_loaded_through_its_link(settings: Settings, bundle: Bundle) -> None:
    assert settings.bundle.is_symlink()
    assert bundle.path == settings.bundle.resolve()
    assert set(bundle.manifest["files"]) == set(BUNDLE_FILES)
    assert bundle.snapshot.is_file()


def test_a_loaded_bundle_holds_what_its_files_say(bundle: Bundle) -> None:
    def read(name: str) -> object:
        return json.loads((bundle.path / name).read_bytes())

    assert bundle.model == (bundle.path / "model.onnx").read_bytes()
    assert bundle.manifest == read("manifest.json")
    assert bundle.catalogue == read("catalogue.json")
    assert bundle.reference == read("reference.json")
    assert bundle.vocabulary == read("vocabulary.json")


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", ALL)
def test_a_file_with_one_bit_flipped_is_named(folder: Path, name: str, place: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[int(len(content) * place)] ^= 1
    (folder / name).write_bytes(content)
    damaged(folder, name, "is not readable" if name == MANIFEST and not readable(content) else "was changed")


def readable(content: bytes | bytearray) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("name", ALL)
def test_a_truncated_file_is_named(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    damaged(folder, name, "is not readable" if name == MANIFEST else "was changed")


@pytest.mark.parametrize("name", ALL)
def test_a_removed_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    damaged(folder, name, "is missing")


@pytest.mark.parametrize("name", ALL)
def test_a_folder_in_place_of_a_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    damaged(folder, name, "")


@pytest.mark.parametrize("name", ["model.pkl", "zzz", ".hidden"])
def test_a_file_too_many_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    damaged(folder, name, "does not belong to it")


def test_a_file_that_the_manifest_forgets_is_damage_even_with_a_right_hash(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    del manifest["files"]["model.onnx"]
    manifest["bundle_hash"] = hash_manifest(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / "model.onnx").unlink()
    damaged(folder, MANIFEST, "was changed")


@pytest.mark.parametrize("version", [None, 7, "", "../../elsewhere", "fab407a3616/"])
def test_a_version_of_features_that_is_no_part_of_a_path_is_refused(
    bundle: Bundle, tmp_path: Path, version: object
) -> None:
    rewrite(tmp_path / "bundle", bundle, features_version=version)
    forged = load_bundle(tmp_path / "bundle")
    with pytest.raises(Damaged, match=r"manifest\.json does not name the version of its features"):
        forged.features_version  # noqa: B018


def test_a_bundle_of_another_format_says_which_one_this_code_reads(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes()) | {"format": 3}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    damaged(folder, MANIFEST, "has format 3, this code reads 4")


@pytest.mark.parametrize("content", [b"[]", b"null", b"7", b"{}", b'{"format": 4}', b"\xff\xfe", b'{"a": NaN}'])
def test_a_manifest_that_is_none_is_not_readable(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    damaged(folder, MANIFEST, "is not readable")


def test_a_missing_bundle_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match=r"There is no bundle at .*/bundle\. Run `labserver build`"):
        load_bundle(tmp_path / "bundle")


def test_a_link_to_nowhere_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "bundle").symlink_to("bundles/gone")
    with pytest.raises(Damaged, match=r"There is no bundle at .*Run `labserver build`"):
        load_bundle(tmp_path / "bundle")


def test_a_file_in_place_of_the_bundle_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_text("")
    with pytest.raises(Damaged, match="Run `labserver build`"):
        load_bundle(tmp_path / "bundle")


def test_the_hash_ignores_the_time_of_building_and_nothing_else(bundle: Bundle) -> None:
    manifest = dict(bundle.manifest)
    assert hash_manifest(manifest) == manifest["bundle_hash"]
    assert hash_manifest(manifest | {"built_at": "2099-01-01"}) == manifest["bundle_hash"]
    for key in manifest.keys() - {"built_at", "bundle_hash"}:
        assert hash_manifest(manifest | {key: "something else"}) != manifest["bundle_hash"], key
    assert hash_manifest(manifest | {"more": 1}) != manifest["bundle_hash"]


def test_the_bytes_of_json_are_those_of_the_data_in_whatever_order_they_came() -> None:
    assert to_json({"b": 1, "a": [0.5]}) == b'{\n "a": [\n  0.5\n ],\n "b": 1\n}\n'
    assert to_json({"a": [0.5], "b": 1}) == to_json({"b": 1, "a": [0.5]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"a": value})


def test_a_bundle_written_again_from_its_files_has_the_same_hash(bundle: Bundle, tmp_path: Path) -> None:
    for built_at in ("2026-01-01", "2026-01-02"):
        assert rewrite(tmp_path / "bundle", bundle, built_at=built_at) == bundle.name
        assert load_bundle(tmp_path / "bundle").manifest["built_at"] == built_at


def test_the_same_bundle_written_again_leaves_the_files_where_they_are(bundle: Bundle, tmp_path: Path) -> None:
    rewrite(tmp_path / "bundle", bundle, built_at="2026-01-01")
    before = {name: (tmp_path / "bundle" / name).stat().st_ino for name in BUNDLE_FILES}
    rewrite(tmp_path / "bundle", bundle, built_at="2026-01-02")
    assert {name: (tmp_path / "bundle" / name).stat().st_ino for name in BUNDLE_FILES} == before
    assert len(list((tmp_path / "bundles").iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"7", b"\xff", b"[1]"], ids=["empty", "a number", "no text", "a list"])
@pytest.mark.parametrize("name", ["catalogue.json", "reference.json", "sbom.cdx.json", "vocabulary.json"])
def test_a_file_that_is_no_description_is_named_even_with_a_right_hash(
    bundle: Bundle, tmp_path: Path, name: str, content: bytes
) -> None:
    rewrite(tmp_path / "bundle", bundle, {name: content})
    damaged(tmp_path / "bundle", name, "is not readable")


def test_a_build_that_fails_half_way_leaves_the_old_bundle_in_force(bundle: Bundle, tmp_path: Path) -> None:
    old = rewrite(tmp_path / "bundle", bundle)

    def fail(target: Path) -> None:
        (target / "model.onnx").write_bytes(b"half")
        raise RuntimeError("no space left")

    with pytest.raises(RuntimeError, match="no space left"):
        add_bundle(tmp_path, {}, fail)
    assert load_bundle(tmp_path / "bundle").name == old


def test_a_build_that_forgets_a_file_leaves_the_old_bundle_in_force(bundle: Bundle, tmp_path: Path) -> None:
    old = rewrite(tmp_path / "bundle", bundle)
    with pytest.raises(FileNotFoundError):
        add_bundle(tmp_path, {}, lambda target: None)
    assert load_bundle(tmp_path / "bundle").name == old


def test_a_bundle_that_is_added_serves_once_the_link_names_it(bundle: Bundle, tmp_path: Path) -> None:
    first = rewrite(tmp_path / "bundle", bundle, note="one")
    second = added(tmp_path, bundle, note="two")
    assert load_bundle(tmp_path / "bundle").name == first
    activate(tmp_path / "bundle", second)
    assert load_bundle(tmp_path / "bundle").manifest["note"] == "two"
    assert {path.name for path in (tmp_path / "bundles").iterdir()} == {first, second}
