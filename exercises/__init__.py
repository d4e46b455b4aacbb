"""The course around the service: exercises, their checks, and the ``lab`` command."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exercises.lab.notebook import check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    """``from exercises import check`` works without loading the checks for other imports."""
    if name == "check":
        from exercises.lab.notebook import check

        return check
    raise AttributeError(name)
