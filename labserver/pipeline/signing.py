"""Makes keys, and signs bundles with them. What is signed and how it is verified: ``labserver.model.signing``."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from labserver.errors import LabError
from labserver.model.bundle import to_json
from labserver.model.signing import ALGORITHM, key_id, signed_message
from labserver.settings import Settings

PRIVATE, PUBLIC = "signing-key.pem", "public-key.pem"

Sign = Callable[[str], bytes]
"""From a bundle's hash to the content of its ``manifest.sig``."""


def new_keys(folder: Path) -> tuple[Path, Path, str]:
    """Make a pair of keys; give the files of the private and the public one, and the key's name.

    Raises:
        LabError: if one of the files is there already, or the folder takes none. A key is never overwritten.
    """
    private, public = folder / PRIVATE, folder / PUBLIC
    key = Ed25519PrivateKey.generate()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for there in (private, public):
            if os.path.lexists(there):
                raise FileExistsError(17, "File exists", str(there))
        _write_new(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    except FileExistsError as error:
        raise LabError(f"{error.filename} is there already. A key is never overwritten: name a new folder.") from None
    except OSError as error:
        raise LabError(f"{folder} takes no files ({error.strerror}). Name one that this user can write to.") from None
    return private, public, key_id(key.public_key())


def signer(settings: Settings) -> Sign | None:
    """Signs with LABSERVER_SIGNING_KEY; None without one.

    Raises:
        LabError: if the file holds no Ed25519 private key.
    """
    if settings.signing_key is None:
        return None
    path = settings.signing_key
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise LabError(f"LABSERVER_SIGNING_KEY={path} is not readable ({error.strerror}).") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it asks for a password
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise LabError(
            f"LABSERVER_SIGNING_KEY={path} must hold an Ed25519 private key in PEM form, without a password. "
            "`labserver keys new FOLDER` makes a pair."
        )
    chosen = key

    def sign(bundle_hash: str) -> bytes:
        signature = base64.b64encode(chosen.sign(signed_message(bundle_hash))).decode()
        return to_json({"algorithm": ALGORITHM, "key": key_id(chosen.public_key()), "signature": signature})

    return sign


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there yet, readable from its first moment for whom ``mode`` says."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
