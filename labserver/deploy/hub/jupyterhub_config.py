"""The course on a JupyterHub. The Littlest JupyterHub reads it as /opt/tljh/config/jupyterhub_config.d/course.py.

COURSE is the checkout that all learners share; it holds the built ``var/``. See notebooks/INSTRUCTORS.md.
"""

import os
from pathlib import Path

COURSE = Path(os.environ.get("COURSE", "/opt/course"))

c = get_config()  # noqa: F821
c.Spawner.cmd = [str(COURSE / "labserver/deploy/hub/single-user")]
c.Spawner.environment = {"COURSE": str(COURSE)}
c.Spawner.default_url = "/lab/tree/course/notebooks/00_separate_model_and_features.ipynb"
c.Spawner.http_timeout = 120  # thirty servers that start at once start slowly
c.Spawner.start_timeout = 120
c.Spawner.mem_limit = "3G"


def two_cores(spawner):
    """Give each learner two cores, in turns, so that OpenMP starts two threads and lesson 7 measures on two cores.

    A quota (``cpu_limit``) would be seen by neither. Systemd's spawner alone knows these properties.
    """
    if hasattr(spawner, "unit_extra_properties"):
        first = 2 * spawner.user.id % max(2, os.cpu_count() - 1)
        spawner.unit_extra_properties = {"AllowedCPUs": f"{first}-{first + 1}"}


c.Spawner.pre_spawn_hook = two_cores
