"""A second model that answers beside the first, unseen: its answers are logged and never sent."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from labserver.monitor.served import Served
from labserver.service.ports import Predictor

Batch = tuple[Sequence[str], NDArray[np.float32]]
Scored = tuple[str, float]
"""The id of a prediction, and the second model's probability."""


class Shadow:
    """Asks the second model in a thread of its own, after the answers are sent.

    Nobody waits for it: not a request, not the monitor, and not the end of the process. A model that raises costs its
    own answers; one that hangs fills the queue, and what does not fit is dropped and counted. It shares the service's
    process, so what a thread cannot survive (a crash in native code, memory without end) it does not survive either.
    """

    WAITING = 40
    """Batches that may wait."""
    SECONDS = 1.0
    """Granted at the end of the process."""

    def __init__(self, model: Predictor) -> None:
        self._model = model
        self._queue: queue.Queue[Batch | None] = queue.Queue(self.WAITING)
        self._scored: deque[Scored] = deque()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self.version = str(getattr(model, "version", type(model).__name__))
        self.answers = self.errors = self.dropped = 0

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def offer(self, served: Served) -> None:
        """Note a batch of answers that were sent. Never waits."""
        try:
            self._queue.put_nowait(([answer.id for _, answer in served.pairs], served.used))
        except queue.Full:
            self.dropped += len(served.pairs)

    def take(self) -> list[Scored]:
        """What it has answered since the last call."""
        return [self._scored.popleft() for _ in range(len(self._scored))]

    def close(self) -> None:
        """Let it answer what waits, for a moment."""
        if self._thread.is_alive():
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                return
            self._thread.join(self.SECONDS)

    def _run(self) -> None:
        while batch := self._queue.get():
            ids, vectors = batch
            try:
                scores = _checked(self._model.probabilities(vectors), len(ids))
            except Exception as error:  # somebody else's model: whatever it is, the first one goes on
                self.errors += len(ids)
                structlog.get_logger().warning("shadow_fault", kind=type(error).__name__, detail=str(error))
                continue
            self._scored.extend(zip(ids, scores.tolist(), strict=True))
            self.answers += len(ids)


def _checked(scores: NDArray[np.float32], rows: int) -> NDArray[np.float64]:
    """Probabilities of shape (rows,).

    Raises:
        ValueError: if they are not.
    """
    found = np.asarray(scores, np.float64)
    if found.shape != (rows,) or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"not {rows} probabilities: shape {found.shape}, values {found.ravel()[:3].tolist()}")
    return found
