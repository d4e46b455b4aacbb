"""The board's secrets: a code to join, a token to post, a key to read.

The code is short because people type it: 8 of 31 letters and digits that nobody takes for another are 31**8, about
8.5e11 codes (39.6 bits). Wrong ones are limited to 1,000 in ten minutes, all addresses together, so to 144,000 a day:
somebody who tries all day finds it with a chance of 1.7e-7, all week of 1.2e-6. One address may try a tenth of that; in
a lecture hall one address may be everybody's.

Tokens and the key have 128 bits. Nobody finds them by trying, so a right one is never refused for what others tried.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without 0 and O, 1 and I and L."""
CODE_LENGTH = 8
WINDOW_SECONDS = 600.0
TRIES_EACH = 100
TRIES_TOGETHER = 1_000


def new_code() -> str:
    """A code, such as ``K7QM-4XWD``."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


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


class Tries:
    """Counts wrong codes. All is forgotten at the end of a window, so it holds at most ``TRIES_TOGETHER`` addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends = 0.0
        self._failed: Counter[str] = Counter()

    def wait(self, address: str) -> int:
        """Seconds until this address may try a code; 0 if it may now."""
        left = self._ends - self._clock()
        if left <= 0:
            self._ends = self._clock() + WINDOW_SECONDS
            self._failed.clear()
            return 0
        spent = self._failed[address] >= TRIES_EACH or self._failed.total() >= TRIES_TOGETHER
        return int(left) + 1 if spent else 0

    def failed(self, address: str) -> None:
        """Note a wrong code."""
        self._failed[address] += 1
