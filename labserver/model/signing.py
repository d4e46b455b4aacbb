"""The Ed25519 signature of a bundle: it shows who built it, where a hash shows only that nothing changed since.

A build with ``LABSERVER_SIGNING_KEY`` writes ``manifest.sig`` beside the manifest, JSON with three entries:

- ``algorithm``: ``Ed25519`` (RFC 8032).
- ``key``: the first 16 hex digits of the SHA-256 of the public key's 32 bytes.
- ``signature``: 64 bytes in Base64, over the bytes of :func:`signed_message`: the text ``labserver bundle v1``, a zero
  byte, and the 32 bytes of the bundle's hash. The text keeps a signature from being valid for anything else that is
  signed with the same key. The bundle's hash covers every file and leaves out the time of building, so a build of the
  same inputs has the same signature.

With ``LABSERVER_PUBLIC_KEY``, every load of a bundle verifies it. The library is imported only then: it takes 12 MiB.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from labserver.errors import Damaged, LabError
from labserver.model.bundle import SIGNATURE_FILE, Bundle, hash_manifest, load_bundle
from labserver.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALGORITHM = "Ed25519"
DOMAIN = b"labserver bundle v1\0"
PUBLIC_KEYS = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def signed_message(bundle_hash: str) -> bytes:
    """The bytes that are signed, of a hash of 64 hex digits."""
    return DOMAIN + bytes.fromhex(bundle_hash)


def key_id(public: Ed25519PublicKey) -> str:
    """Names a key: 16 hex digits."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def open_bundle(settings: Settings) -> Bundle:
    """The active bundle, verified: every byte and, if there is a public key, its signature.

    Raises:
        Damaged: if it is not whole, or not signed by one of the keys.
        LabError: if the file of public keys is not usable.
    """
    bundle = load_bundle(settings.bundle)
    check_signature(bundle, settings)
    return bundle


def check_signature(bundle: Bundle, settings: Settings) -> None:
    """Verify the signature of a bundle whose files agree with its manifest. Without a public key, nothing is asked.

    Raises:
        Damaged: if it is missing, not readable, by a key that is not in the file, or wrong; says which.
        LabError: if the file of public keys is not usable.
    """
    if settings.public_key is None:
        return
    from cryptography.exceptions import InvalidSignature

    keys = _public_keys(settings.public_key)
    name, signature = _read_signature(bundle)
    if name not in keys:
        raise Damaged(
            f"The bundle at {bundle.path} is signed with the key {name}, which is not in LABSERVER_PUBLIC_KEY="
            f"{settings.public_key} (it holds {', '.join(keys)}). Use a bundle of a builder whom you trust, or add the "
            "key to the file."
        )
    try:
        keys[name].verify(signature, signed_message(hash_manifest(bundle.manifest)))
    except InvalidSignature:
        raise Damaged(
            f"The signature of the bundle at {bundle.path} is wrong: the key {name} has not signed this manifest. "
            "Somebody changed the bundle: use a copy that you trust, or run `labserver build` with your "
            "LABSERVER_SIGNING_KEY."
        ) from None


def _read_signature(bundle: Bundle) -> tuple[str, bytes]:
    """Name of the key, and the signature."""
    try:
        told = json.loads((bundle.path / SIGNATURE_FILE).read_bytes())
        name, signature = told["key"], base64.b64decode(told["signature"], validate=True)
        if told["algorithm"] != ALGORITHM or not re.fullmatch("[0-9a-f]{16}", name):
            raise ValueError
    except FileNotFoundError:
        raise Damaged(
            f"The bundle at {bundle.path} is not signed, and LABSERVER_PUBLIC_KEY asks for a signature. Run `labserver "
            "build` with LABSERVER_SIGNING_KEY, or unset LABSERVER_PUBLIC_KEY."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise Damaged(
            f"The signature of the bundle at {bundle.path} is not readable: {SIGNATURE_FILE} must hold algorithm "
            f"({ALGORITHM}), key and signature. Run `labserver build` with LABSERVER_SIGNING_KEY."
        ) from None
    return name, signature


def _public_keys(path: Path) -> dict[str, Ed25519PublicKey]:
    """The keys of a PEM file, by name."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        keys = [load_pem_public_key(pem) for pem in PUBLIC_KEYS.findall(path.read_bytes())]
    except OSError as error:
        raise LabError(f"LABSERVER_PUBLIC_KEY={path} is not readable ({error.strerror}).") from None
    except (ValueError, UnsupportedAlgorithm):
        keys = []
    usable = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not usable or len(usable) < len(keys):
        raise LabError(
            f"LABSERVER_PUBLIC_KEY={path} must hold Ed25519 public keys in PEM form, one or more, and no others. "
            "`labserver keys new FOLDER` makes a pair."
        )
    return {key_id(key): key for key in usable}
