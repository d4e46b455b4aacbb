"""The board's secrets: a code to join, a token to post, a key to read.

The code is short because people type it: 10 of 31 letters and digits that nobody takes for another are 31**10, about
8.2e14 codes (49.5 bits). At 1,500 tries a second, more than the board answers, somebody finds it in a day with a chance
of 1.6e-7. So nobody is locked out for wrong ones: in a lecture hall one address may be everybody's.

Tokens and the key have 128 bits. Nobody finds them by trying.
"""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without 0 and O, 1 and I and L."""
CODE_LENGTH = 10


def new_code() -> str:
    """A code, such as ``K7QM4-XWDP8``."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return f"{letters[:5]}-{letters[5:]}"


def new_key() -> str:
    """A key that nobody can guess; for the instructor."""
    return secrets.token_urlsafe(16)


def same_code(given: str, code: str) -> bool:
    """True if a code is right, in any spelling. Takes equally long for every wrong one."""
    typed = given.upper().replace(" ", "").replace("-", "")
    return secrets.compare_digest(typed.encode(), code.replace("-", "").encode())


def same_key(given: str, key: str) -> bool:
    """True if a key is right. Takes equally long for every wrong one."""
    return secrets.compare_digest(given.encode(), key.encode())


def fingerprint(token: str) -> str:
    """The hash of a token. The board stores only this, so that a reader of its file cannot post as a learner."""
    return hashlib.sha256(token.encode()).hexdigest()
