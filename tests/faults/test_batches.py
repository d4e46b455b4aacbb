"""Batches are long; single predictions beside them must not wait for one after the other."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from asking import asking, crowd
from services import FLIGHT, own_home, running
from table import Note

BATCH = {"flights": [FLIGHT] * 1000}


def test_single_predictions_do_not_wait_for_batches(home: Path, tmp_path: Path, full: bool, note: Note) -> None:
    clients, batches = (48 if full else 8), list[float]()

    with running(own_home(home, tmp_path)) as service:

        def ask() -> None:
            began = time.perf_counter()
            assert service.post("/v1/predictions/batch", BATCH).status_code == 200
            batches.append(time.perf_counter() - began)

        with crowd(ask, clients):
            time.sleep(1)
            with asking(service.url, 1) as asked:
                time.sleep(8 if full else 4)
    single, batch = statistics.median(asked.times), statistics.median(batches)
    note(
        f"single predictions beside {clients} clients that send batches of 1,000",
        asked.total,
        asked.total - asked.counts[200],
        f"median {single * 1e3:.0f} ms, slowest {asked.slowest * 1e3:.0f} ms; a batch takes {batch * 1e3:.0f} ms",
    )
    assert asked.counts[200] == asked.total > 0
    # With the framework's forty threads a single one takes a third of a batch's time.
    assert single < batch / 6
