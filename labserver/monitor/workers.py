"""Monitoring of a service with several workers.

Prometheus reads one worker's page and must see all workers. So each worker writes its counts to files in a shared
folder, and the worker that gets the request adds them up (the multiprocess mode of prometheus-client):

- counters and histograms are sums over all workers since the start, those that died included;
- requests in flight are the sum over the living;
- rolling figures and the join ratio are the latest that any worker read from the prediction log and the outcomes, which
  they share;
- drift is the latest that any worker found among its own requests, a random share of all; chance adds about 9 / rows to
  a PSI, and a worker that saw too few requests reports none;
- the library's ``process_*`` and ``python_*`` metrics are left out, since they cannot be summed;
- ``GET /v1/monitor`` shows the worker that answers, apart from ``quality``.

One worker per container and more containers is simpler: each then has its own page, and Prometheus sums.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

SHARED_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Variable with the folder. The library reads it at import, so it must be set before the workers start."""


def share_metrics(folder: Path, workers: int) -> None:
    """Prepare the environment for the workers of a service that is about to start.

    The folder is emptied: files of an earlier run would be added to this one's.
    """
    os.environ.pop(SHARED_FOLDER_VARIABLE, None)
    shutil.rmtree(folder, ignore_errors=True)
    if workers > 1:
        folder.mkdir(parents=True)
        os.environ[SHARED_FOLDER_VARIABLE] = str(folder.resolve())
