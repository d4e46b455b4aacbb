"""Lists of names, compared for people."""

from __future__ import annotations

from collections.abc import Sequence


def difference(names: Sequence[str], expected: Sequence[str]) -> str:
    """The difference between two lists of names, in words."""
    without, beyond = (sorted(set(a) - set(b)) for a, b in ((expected, names), (names, expected)))
    found = [f"without {', '.join(without)}"] if without else []
    found += [f"with {', '.join(beyond)}"] if beyond else []
    return " and ".join(found) or ("as expected" if tuple(names) == tuple(expected) else "in another order")
