"""Where Python looks for packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

OWN = Path(__file__).resolve().parents[1]
"""The folder that this package is in. The image has it in PYTHONPATH."""


def leave_out_others() -> None:
    """Start this command again without the folders in PYTHONPATH that are not the course's own, and say so.

    The shells of ROS, Spark and some clusters name theirs there for every program. Packages in them come before those
    that the course has installed, in this process and in all that it starts.
    """
    given = os.environ.get("PYTHONPATH", "")
    kept = os.pathsep.join(place for place in given.split(os.pathsep) if place and Path(place).resolve() == OWN)
    if kept == given:
        return
    print(f"PYTHONPATH={given} is left out: packages of other programs would replace the course's.", file=sys.stderr)
    os.environ["PYTHONPATH"] = kept
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
