"""A bundle that none of the keys has signed is refused, in a sentence that says why."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rewritten import added, rewrite
from services import own_home, refusal, running

from labserver.errors import Damaged, LabError
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import MANIFEST, SIGNATURE_FILE, Bundle, hash_manifest, load_bundle, to_json
from labserver.model.signing import check_signature, open_bundle
from labserver.pipeline import clock
from labserver.pipeline.freshness import is_current
from labserver.pipeline.release import opened
from labserver.pipeline.signing import PRIVATE, PUBLIC, new_keys, signer
from labserver.settings import Settings


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    new_keys(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("theirs")
    new_keys(folder)
    return folder


@pytest.fixture
def signed(bundle: Bundle, tmp_path: Path, ours: Path) -> Settings:
    """A home whose bundle is signed with our key, and asks for it."""
    chosen = Settings(home=tmp_path / "home", signing_key=ours / PRIVATE, public_key=ours / PUBLIC)
    rewrite(chosen.bundle, bundle)
    write_signature(chosen.bundle, ours)
    return chosen


def write_signature(folder: Path, keys: Path, bundle_hash: str = "") -> None:
    sign = signer(Settings(signing_key=keys / PRIVATE))
    assert sign
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / SIGNATURE_FILE).write_bytes(sign(bundle_hash or manifest["bundle_hash"]))


def test_a_bundle_that_our_key_has_signed_is_opened(signed: Settings, bundle: Bundle) -> None:
    assert open_bundle(signed).manifest == load_bundle(signed.bundle).manifest


def test_without_a_public_key_nothing_is_asked(signed: Settings) -> None:
    asking_nothing = signed.model_copy(update={"public_key": None})
    for content in (b"", b"\x80\x04K\x01.", b"{}"):
        (signed.bundle / SIGNATURE_FILE).write_bytes(content)
        assert open_bundle(asking_nothing)
    (signed.bundle / SIGNATURE_FILE).unlink()
    assert open_bundle(asking_nothing)


def remove(chosen: Settings, ours: Path, theirs: Path) -> None:
    (chosen.bundle / SIGNATURE_FILE).unlink()


def foreign(chosen: Settings, ours: Path, theirs: Path) -> None:
    write_signature(chosen.bundle, theirs)


def of_another_bundle(chosen: Settings, ours: Path, theirs: Path) -> None:
    write_signature(chosen.bundle, ours, "0" * 64)


def under_our_name(chosen: Settings, ours: Path, theirs: Path) -> None:
    name = json.loads((chosen.bundle / SIGNATURE_FILE).read_bytes())["key"]
    write_signature(chosen.bundle, theirs)
    told = json.loads((chosen.bundle / SIGNATURE_FILE).read_bytes())
    (chosen.bundle / SIGNATURE_FILE).write_bytes(to_json(told | {"key": name}))


def over_the_bare_hash(chosen: Settings, ours: Path, theirs: Path) -> None:
    """As somebody could get it who may have other things signed."""
    told = json.loads((chosen.bundle / SIGNATURE_FILE).read_bytes())
    key: Any = load_pem_private_key((ours / PRIVATE).read_bytes(), password=None)
    bare = key.sign(bytes.fromhex(load_bundle(chosen.bundle).manifest["bundle_hash"]))
    (chosen.bundle / SIGNATURE_FILE).write_bytes(to_json(told | {"signature": base64.b64encode(bare).decode()}))


def manifest_made_to_agree(chosen: Settings, ours: Path, theirs: Path) -> None:
    """Another threshold of the metrics, with a right hash: only the signature shows it."""
    manifest = json.loads((chosen.bundle / MANIFEST).read_bytes())
    manifest["metrics"]["model"]["auc"] = 0.99
    manifest["bundle_hash"] = hash_manifest(manifest)
    (chosen.bundle / MANIFEST).write_bytes(to_json(manifest))


REFUSED: dict[Callable[[Settings, Path, Path], None], str] = {
    remove: r"is not signed, and LABSERVER_PUBLIC_KEY asks .*`labserver build` with LABSERVER_SIGNING_KEY",
    foreign: r"is signed with the key [0-9a-f]{16}, which is not in LABSERVER_PUBLIC_KEY=\S+ \(it holds [0-9a-f]{16}\)",
    of_another_bundle: "is wrong: the key [0-9a-f]{16} has not signed this manifest",
    under_our_name: "is wrong: the key",
    over_the_bare_hash: "is wrong: the key",
    manifest_made_to_agree: "is wrong: the key",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_a_missing_foreign_or_wrong_signature_is_refused_and_says_which(
    signed: Settings, ours: Path, theirs: Path, change: Callable[[Settings, Path, Path], None]
) -> None:
    change(signed, ours, theirs)
    with pytest.raises(Damaged, match=REFUSED[change]):
        open_bundle(signed)


@pytest.mark.parametrize(
    "changes",
    [None, {"algorithm": "none"}, {"key": 7}, {"key": "../key"}, {"signature": "?"}, {"signature": None}],
    ids=str,
)
def test_a_signature_that_is_none_is_not_readable(signed: Settings, changes: dict[str, Any] | None) -> None:
    file = signed.bundle / SIGNATURE_FILE
    file.write_bytes(b"\xff" if changes is None else to_json(json.loads(file.read_bytes()) | changes))
    with pytest.raises(Damaged, match=r"is not readable: manifest\.sig must hold algorithm \(Ed25519\), key"):
        open_bundle(signed)


def test_one_of_several_keys_is_enough(signed: Settings, ours: Path, theirs: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    for order in ([ours, theirs], [theirs, ours]):
        both.write_bytes(b"# since 2026\n" + b"\n".join((folder / PUBLIC).read_bytes() for folder in order))
        rotated = signed.model_copy(update={"public_key": both})
        write_signature(signed.bundle, ours)
        assert open_bundle(rotated)
        write_signature(signed.bundle, theirs)
        assert open_bundle(rotated)


def test_a_build_of_the_same_inputs_has_the_same_signature_at_any_time(
    signed: Settings, bundle: Bundle, ours: Path
) -> None:
    before = (signed.bundle / SIGNATURE_FILE).read_bytes()
    rewrite(signed.bundle, bundle, built_at="2030-01-01T00:00:00+00:00")
    assert open_bundle(signed).manifest["built_at"] == "2030-01-01T00:00:00+00:00"
    write_signature(signed.bundle, ours)
    assert (signed.bundle / SIGNATURE_FILE).read_bytes() == before


def test_the_private_key_is_for_its_owner_alone_and_no_key_is_overwritten(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        private, public, _ = new_keys(tmp_path / "keys")
    finally:
        os.umask(mask)
    assert (private.stat().st_mode & 0o777, public.stat().st_mode & 0o777) == (0o600, 0o644)
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(LabError, match=r"signing-key\.pem is there already"):
        new_keys(tmp_path / "keys")
    assert (private.read_bytes(), public.read_bytes()) == before
    private.rename(tmp_path / "elsewhere.pem")
    with pytest.raises(LabError, match=r"public-key\.pem is there already"):
        new_keys(tmp_path / "keys")
    assert not private.exists()
    public.unlink()
    private.symlink_to(tmp_path / "nowhere")
    with pytest.raises(LabError, match="is there already"):
        new_keys(tmp_path / "keys")


def another_kind() -> bytes:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----", "private", "other"]
)
def test_a_file_without_public_keys_of_this_kind_is_refused(
    signed: Settings, ours: Path, tmp_path: Path, content: bytes | str
) -> None:
    """One key of another kind beside ours, too: the file is not what somebody meant."""
    bad = tmp_path / "bad.pem"
    special = {"private": (ours / PRIVATE).read_bytes(), "other": (ours / PUBLIC).read_bytes() + another_kind()}
    bad.write_bytes(special[content] if isinstance(content, str) else content)
    with pytest.raises(LabError, match=r"must hold Ed25519 public keys .*`labserver keys new FOLDER`"):
        open_bundle(signed.model_copy(update={"public_key": bad}))


@pytest.mark.parametrize("path", ["missing.pem", ""])
def test_a_missing_file_of_keys_is_refused_and_so_is_an_empty_variable(signed: Settings, path: str) -> None:
    for name, use in (("public_key", open_bundle), ("signing_key", signer)):
        chosen = Settings.model_validate({"home": signed.home, name: path})
        with pytest.raises(LabError, match=f"LABSERVER_{name.upper()}={path or '.'} is not readable"):
            use(chosen)


def test_a_file_without_a_private_key_signs_nothing(ours: Path, tmp_path: Path) -> None:
    key: Any = load_pem_private_key((ours / PRIVATE).read_bytes(), password=None)
    (tmp_path / "locked.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    (tmp_path / "none.pem").write_bytes(b"no key")
    for path in (tmp_path / "locked.pem", tmp_path / "none.pem", ours / PUBLIC):
        with pytest.raises(LabError, match=r"must hold an Ed25519 private key .* without a password"):
            signer(Settings(signing_key=path))


def test_every_command_that_opens_the_bundle_asks_for_the_signature(
    home: Path, signed: Settings, bundle: Bundle, ours: Path
) -> None:
    own_home(home, signed.home)
    assert clock.read(signed, CATALOGUE)
    assert is_current(signed)
    with opened(signed, lambda line: None) as releases:
        unsigned = added(signed.home, bundle, note="unsigned")
    with opened(signed, lambda line: None) as releases, pytest.raises(Damaged, match="is not signed"):
        releases.promote(unsigned, "", CATALOGUE)
    write_signature(signed.home / "bundles" / unsigned, ours)
    with opened(signed, pytest.fail) as releases:
        assert releases.promote(unsigned, "", CATALOGUE)
    for name in (unsigned, bundle.name):
        (signed.home / "bundles" / name / SIGNATURE_FILE).unlink()
    with pytest.raises(Damaged, match="is not signed"):
        clock.read(signed, CATALOGUE)
    assert not is_current(signed)
    with opened(signed, pytest.fail) as releases, pytest.raises(Damaged, match="is not signed"):
        releases.rollback("", CATALOGUE)


@pytest.mark.slow
def test_a_service_starts_with_a_signed_bundle_and_with_no_other(home: Path, signed: Settings, ours: Path) -> None:
    own_home(home, signed.home)
    key = {"LABSERVER_PUBLIC_KEY": str(ours / PUBLIC)}
    with running(signed.home, environment=key) as service:
        assert service.ready()
    shutil.rmtree(signed.state)
    (signed.bundle / SIGNATURE_FILE).unlink()
    code, said = refusal(signed.home, LABSERVER_PUBLIC_KEY=str(ours / PUBLIC))
    assert (code, "is not signed, and LABSERVER_PUBLIC_KEY asks" in said) == (1, True)
    code, said = refusal(signed.home, LABSERVER_PUBLIC_KEY="")
    assert (code, "LABSERVER_PUBLIC_KEY=. is not readable" in said) == (1, True)


LOADED = """
import sys
from labserver.finished import PARTS
from labserver.parts import assemble
from labserver.settings import settings
assemble(PARTS, settings())
print('cryptography' in sys.modules)
"""


@pytest.mark.slow
def test_the_library_is_loaded_only_for_a_key(home: Path, signed: Settings, ours: Path) -> None:
    own_home(home, signed.home)
    for key, loaded in (({}, "False"), ({"LABSERVER_PUBLIC_KEY": str(ours / PUBLIC)}, "True")):
        environment = os.environ | {"LABSERVER_HOME": str(signed.home), **key}
        done = subprocess.run(
            [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == loaded


def test_the_check_is_over_the_manifest_that_was_read_and_not_over_what_it_says_of_itself(signed: Settings) -> None:
    """A stage that believes the folder reads a manifest whose own hash is wrong."""
    read = load_bundle(signed.bundle)
    edited = Bundle(
        path=read.path,
        manifest={**read.manifest, "features_version": "0" * 12},
        model=read.model,
        catalogue=read.catalogue,
        reference=read.reference,
        vocabulary=read.vocabulary,
    )
    with pytest.raises(Damaged, match="is wrong"):
        check_signature(edited, signed)
