"""How commands write: progress and errors on standard error, since standard output is for results."""

import codecs
import io
import sys
from typing import Literal

from rich.console import Console

console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Leaves lines as they are. A terminal wraps them itself, and what is copied from it, such as an address, stays whole;
in a folder's name, brackets and colons stay too."""

LEAST_COLUMNS = 80
"""Of a terminal, for help in boxes. In fewer, their columns cut the names of options."""
IN_ASCII = {"✔": "+", "✘": "x", "·": "-", "…": "...", "“": '"', "”": '"'}
"""What commands print beyond ASCII, for encodings that do not have it."""


def help_style() -> Literal["rich"] | None:
    """Boxes where they fit, else plain lines."""
    return "rich" if console.width >= LEAST_COLUMNS else None


def print_everywhere() -> None:
    """Let this process print every text, also where the encoding, such as that of ``LC_ALL=C``, lacks a character."""
    codecs.register_error("labserver", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="labserver")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(IN_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end
