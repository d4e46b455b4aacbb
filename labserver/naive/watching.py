"""The service before lesson 9: it answers, and nobody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from labserver.features.flight import Flight
from labserver.monitor.drift import Judgement
from labserver.monitor.monitor import Watched
from labserver.monitor.status import unknown
from labserver.monitor.tally import Tally
from labserver.parts import Context
from labserver.service.prediction import Answer


class Unseeing:
    """Before lesson 9: whatever comes in is taken for what training knew."""

    def judge(self, today: Tally, days: Sequence[Tally]) -> Judgement:
        nothing = np.full(len(today.bins), np.nan)
        return Judgement(nothing, nothing, ())


def drift(context: Context) -> Unseeing:
    return Unseeing()


class Unwatched:
    """Before lesson 9: an answer is forgotten once it is sent."""

    def start(self) -> None:
        return

    def predicted(self, flight: Flight, answer: Answer) -> None:
        return

    def refused(self, field: str) -> None:
        return

    def status(self) -> dict[str, Any]:
        return unknown()

    def close(self) -> None:
        return


def monitor(watched: Watched) -> Unwatched:
    return Unwatched()
