"""The replaceable parts of the service, and the arguments of their factories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from labserver.api.admission import Admission
from labserver.api.lifecycle import Drain
from labserver.features.catalogue import Catalogue
from labserver.model.bundle import Bundle
from labserver.model.signing import check_signature
from labserver.monitor.drift import Detector
from labserver.monitor.monitor import Watched
from labserver.monitor.ports import Monitor
from labserver.service.ports import Completion, DecisionPolicy, Predictor, Ranges, Service
from labserver.service.selection import by_name
from labserver.settings import Settings


@dataclass(frozen=True)
class Context:
    """Arguments of a part's factory. The catalogue holds the statistics of training."""

    settings: Settings
    bundle: Bundle
    catalogue: Catalogue


class Horizon(Protocol):
    """Lesson 2. The as-of cutoff: the latest moment at which a usable value became known."""

    def until(self, as_of: datetime) -> datetime:
        """The last admissible ``known_at`` for the prediction time ``as_of``."""


@dataclass(frozen=True)
class Ingredients:
    """The made parts of a service."""

    context: Context
    ranges: Ranges
    completion: Completion
    predictor: Predictor
    decision: DecisionPolicy
    horizon: Horizon | None = None


@dataclass(frozen=True)
class Parts:
    """The active parts, one factory a field. A learner's module replaces those whose names it defines.

    None stands for a part that the stage has no use for.
    """

    catalogue: Callable[[Settings], Catalogue]
    drain: Callable[[Settings], Drain]
    admission: Callable[[Settings], Admission]
    completion: Callable[[Context], Completion]
    ranges: Callable[[Context], Ranges]
    service: Callable[[Ingredients], Service]
    decision: Callable[[Context], DecisionPolicy]
    loader: Callable[[Path], Bundle]
    threads: Callable[[Settings], int | None]
    predictor: Callable[[Context, int | None], Predictor]
    inline: Callable[[Settings], bool]
    monitor: Callable[[Watched], Monitor]
    horizon: Callable[[Context], Horizon] | None = None
    drift: Callable[[Context], Detector] | None = None
    shadow: Callable[[Context], Predictor | None] | None = None


def assemble(parts: Parts, settings: Settings) -> tuple[Context, Service]:
    """Load the bundle and make the service from its parts. Raises as :func:`ingredients` does."""
    made = ingredients(parts, settings)
    return made.context, parts.service(made)


def ingredients(parts: Parts, settings: Settings) -> Ingredients:
    """Load the bundle and make the parts that a service is made of.

    Raises:
        LabError: if the bundle, its signature, the store or the warehouse is not usable, the model wants a feature that
            the catalogue lacks or defines in another way, or it does not answer as it did when it was built.
    """
    bundle = parts.loader(settings.bundle)
    check_signature(bundle, settings)
    catalogue = parts.catalogue(settings).with_trained(bundle.catalogue)
    context = Context(settings, bundle, catalogue)
    predictor = by_name(parts.predictor(context, parts.threads(settings)), catalogue)
    return Ingredients(
        context=context,
        horizon=parts.horizon(context) if parts.horizon else None,
        ranges=parts.ranges(context),
        completion=parts.completion(context),
        predictor=predictor,
        decision=parts.decision(context),
    )
