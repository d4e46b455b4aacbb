"""What several workers of one service mean for monitoring.

Prometheus reads one worker's page and must see all. So each worker writes its counts to files in a folder that they
share, and whoever is asked adds them up (the multiprocess mode of prometheus-client):

- counters and histograms are sums over all workers since the start, those that died included;
- requests in flight are the sum over the living;
- rolling figures and the join ratio are the latest that any worker read from the prediction log and the outcomes, which
  they share;
- drift is the latest that any worker found among the requests that it was given, a random share of all; chance adds
  about 9 / rows to a PSI, and a worker that saw too few says nothing;
- the library's ``process_*`` and ``python_*`` metrics are gone, since they cannot be added;
- ``GET /v1/monitor`` shows the worker that answers, apart from ``quality``.

One worker a container and more containers is the simpler plan: each then has a page of its own, and Prometheus sums.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder. The library looks at it when it is imported, so it must be set before the workers start."""


def share_metrics(folder: Path, workers: int) -> None:
    """Prepare the environment for the workers of a service that is about to start.

    The folder is emptied: files of an earlier run would be added to this one's.
    """
    os.environ.pop(SHARED, None)
    shutil.rmtree(folder, ignore_errors=True)
    if workers > 1:
        folder.mkdir(parents=True)
        os.environ[SHARED] = str(folder.resolve())
