"""The process of the finished service: ``python -m labserver.server``, settings from the environment.

The application is imported late: ``labserver serve`` becomes this process and must not wait for the import.
"""

from __future__ import annotations

from labserver.interrupts import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()  # before the other imports, which take a while

from typing import TYPE_CHECKING

from labserver.api.server import run, worker
from labserver.settings import Settings, settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from labserver.api.monitoring import ShownBeside
    from labserver.parts import Parts


def application(chosen: Settings, parts: Parts, shown: ShownBeside | None = None) -> FastAPI:
    """Make the application of one worker from its parts, with its bundle loaded and verified.

    Args:
        chosen: the settings.
        parts: see :class:`labserver.parts.Parts`.
        shown: content of the page that is not the service's own.

    Raises:
        LabError: if something that the service needs is not usable.
    """
    from labserver.api.app import Backend, create_app
    from labserver.api.monitoring import ShownBeside
    from labserver.monitor.monitor import Watched
    from labserver.monitor.observed import ObservedService
    from labserver.monitor.outcomes import OutcomeStore
    from labserver.monitor.prometheus import new_registry
    from labserver.parts import ingredients
    from labserver.service.selection import by_name

    made = ingredients(parts, chosen)
    context, service = made.context, parts.service(made)
    registry = new_registry()
    outcomes = OutcomeStore(chosen.outcomes, max_days=chosen.outcome_days)
    detector = parts.drift(context) if parts.drift else None
    beside = parts.shadow(context) if parts.shadow else None
    shadow = by_name(beside, context.catalogue) if beside else None
    watched = Watched(
        chosen, context.bundle, context.catalogue, registry, outcomes, detector, shadow, made.predictor, made.decision
    )
    monitor = parts.monitor(watched)
    backend = Backend(
        service=ObservedService(service, monitor),
        monitor=monitor,
        outcomes=outcomes,
        catalogue=context.catalogue,
        manifest=context.bundle.manifest,
        registry=registry,
        admission=parts.admission(chosen),
        drain=parts.drain(chosen),
        inline=parts.inline(chosen),
    )
    return create_app(chosen, backend, shown or ShownBeside())


def create() -> FastAPI:
    """Make the finished service. Raises as :func:`application` does."""
    from labserver.finished import PARTS

    return application(settings(), PARTS)


def create_worker() -> FastAPI:
    """Make the finished service for one of several workers."""
    return worker(create)


if __name__ == "__main__":
    run(create, "labserver.server:create_worker")
