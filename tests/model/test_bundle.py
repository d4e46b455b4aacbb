from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from labserver.build import build
from labserver.errors import Damaged
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import FILES, MANIFEST, Bundle, hash_manifest, load_bundle, write_bundle
from labserver.settings import Settings


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("fault", ["flipped", "truncated", "removed"])
def test_every_fault_in_every_file_is_refused_by_name(bundle: Bundle, tmp_path: Path, name: str, fault: str) -> None:
    copy = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    if fault == "flipped":
        (copy / name).write_bytes(content)
    elif fault == "truncated":
        (copy / name).write_bytes(content[:-1])
    else:
        (copy / name).unlink()
    with pytest.raises(Damaged, match=rf"{name}.*labserver build"):
        load_bundle(copy)


def test_a_file_that_does_not_belong_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    (copy / "model.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(Damaged, match=r"model.pkl does not belong"):
        load_bundle(copy)


def test_a_build_that_dies_leaves_the_old_bundle(bundle: Bundle, tmp_path: Path) -> None:
    def good(folder: Path) -> None:
        for name in FILES:
            shutil.copyfile(bundle.path / name, folder / name)

    def dies(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    first = write_bundle(tmp_path / "bundle", {"built_at": "1"}, good)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "bundle", {"built_at": "2"}, dies)
    assert load_bundle(tmp_path / "bundle").manifest["bundle_hash"] == first


def test_the_hash_is_over_everything_but_the_time(bundle: Bundle) -> None:
    manifest = dict(bundle.manifest)
    assert hash_manifest({**manifest, "built_at": "later"}) == manifest["bundle_hash"]
    assert hash_manifest({**manifest, "model_version": "other"}) != manifest["bundle_hash"]


def test_the_same_inputs_give_the_same_bundle(bundle: Bundle, tmp_path: Path) -> None:
    built = build(Settings(home=tmp_path), CATALOGUE, lambda line: None)
    assert built.bundle_hash == bundle.manifest["bundle_hash"]


def test_the_model_beats_its_baselines_without_a_leak(bundle: Bundle) -> None:
    metrics = bundle.manifest["metrics"]
    assert 0.71 <= metrics["model"]["auc"] <= 0.76
    for baseline in ("logistic_regression", "base_rate"):
        assert metrics["model"]["auc"] > metrics[baseline]["auc"]
        for measure in ("log_loss", "brier", "calibration_error"):
            assert metrics["model"][measure] < metrics[baseline][measure]


def test_the_manifest_is_plain_json(bundle: Bundle) -> None:
    assert json.loads((bundle.path / MANIFEST).read_bytes()) == bundle.manifest
