"""The course around the service: exercises, their checks, and the ``lab`` command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exercises.notebook import check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    """``from exercises import check``, without loading the checks for whoever wants something else."""
    if name == "check":
        from exercises.notebook import check

        return check
    raise AttributeError(name)
