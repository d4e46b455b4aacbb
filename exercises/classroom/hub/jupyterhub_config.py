"""The course on a JupyterHub. The Littlest JupyterHub reads it as /opt/tljh/config/jupyterhub_config.d/course.py.

COURSE is the checkout that all learners share, with its environment in ``.venv`` and the built ``var``. See
notebooks/INSTRUCTORS.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

COURSE = Path(os.environ.get("COURSE", "/opt/course"))

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821  (JupyterHub gives it)
c.Spawner.cmd = [str(COURSE / "exercises/classroom/hub/single-user")]
c.Spawner.environment = {"COURSE": str(COURSE)}
c.Spawner.default_url = "/lab/tree/course/notebooks/00_separate_model_and_features.ipynb"
c.Spawner.start_timeout = c.Spawner.http_timeout = 120  # thirty servers that start at once start slowly
c.Spawner.mem_limit = "3G"


def two_cores(spawner: Any) -> None:
    """Give each learner a pair of cores, in turns: OpenMP starts two threads then, and lesson 7 measures on this pair.

    Neither would see a quota (``cpu_limit``). Only systemd's spawner, which TLJH uses, has such properties.
    """
    pairs = max(1, (os.cpu_count() or 1) // 2)
    first = 2 * (spawner.user.id % pairs)
    if hasattr(spawner, "unit_extra_properties"):
        spawner.unit_extra_properties = {"AllowedCPUs": f"{first}-{first + 1}"}


c.Spawner.pre_spawn_hook = two_cores
