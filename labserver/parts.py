"""The replaceable pieces of the service, and what each gets to work with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from labserver.api.admission import Admission
from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.ranges import Completion, Ranges
from labserver.model.bundle import Bundle
from labserver.model.predictor import Predictor
from labserver.monitor.drift import Detector
from labserver.monitor.monitor import Monitor, Watched
from labserver.service.decision import DecisionPolicy
from labserver.service.prediction import Service
from labserver.settings import Settings


@dataclass(frozen=True)
class Context:
    """What a part is made from. The catalogue knows what training saw."""

    settings: Settings
    bundle: Bundle
    catalogue: Catalogue


class Horizon(Protocol):
    """Lesson 2. Up to which moment a value may have become known."""

    def until(self, as_of: datetime) -> datetime:
        """The last admissible ``known_at`` for a question put at ``as_of``."""


class Drain(Protocol):
    """Lesson 1. What happens between SIGTERM and the end of the process."""

    def install(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None]) -> None:
        """Take over SIGTERM; call ``begin`` when the service must say that it is no longer ready."""


@dataclass(frozen=True)
class Ingredients:
    """The parts that a service is put together from."""

    context: Context
    horizon: Horizon
    ranges: Ranges
    completion: Completion
    predictor: Predictor
    decision: DecisionPolicy


@dataclass(frozen=True)
class Parts:
    """The parts in force, one factory a field. A learner's module replaces those whose names it defines."""

    catalogue: Callable[[Settings], Catalogue]
    drain: Callable[[Settings], Drain]
    admission: Callable[[Settings], Admission]
    horizon: Callable[[Context], Horizon]
    completion: Callable[[Context], Completion]
    ranges: Callable[[Context], Ranges]
    service: Callable[[Ingredients], Service]
    decision: Callable[[Context], DecisionPolicy]
    loader: Callable[[Path], Bundle]
    threads: Callable[[Settings], int | None]
    predictor: Callable[[Context, int | None], Predictor]
    inline: Callable[[Settings], bool]
    drift: Callable[[Context], Detector]
    monitor: Callable[[Watched], Monitor]


def assemble(parts: Parts, settings: Settings) -> tuple[Context, Service]:
    """Load the bundle and put the service together.

    Raises:
        LabError: if the bundle, the store or the warehouse is not usable, the model wants other features than the
            catalogue has, or it does not answer as it did when it was built.
    """
    bundle = parts.loader(settings.bundle)
    catalogue = parts.catalogue(settings).with_trained(bundle.catalogue)
    _check_signature(bundle, catalogue)
    context = Context(settings, bundle, catalogue)
    predictor = parts.predictor(context, parts.threads(settings))
    service = parts.service(
        Ingredients(
            context=context,
            horizon=parts.horizon(context),
            ranges=parts.ranges(context),
            completion=parts.completion(context),
            predictor=predictor,
            decision=parts.decision(context),
        )
    )
    return context, service


def _check_signature(bundle: Bundle, catalogue: Catalogue) -> None:
    """Lesson 0: a model names the features it wants, in order."""
    wanted: list[str] = bundle.manifest["signature"]["input"]["features"]
    if tuple(wanted) != catalogue.names:
        raise LabError(
            f"The model wants the features {', '.join(wanted)}; the catalogue has {', '.join(catalogue.names)}. "
            "Run `labserver build`."
        )
