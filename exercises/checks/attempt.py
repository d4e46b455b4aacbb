"""An attempt: the learner's file, and running services that use it (:mod:`exercises.checks.answering`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from exercises.checks.answering import Answering
from exercises.checks.doubt import USUAL_PATIENCE, Doubtful, Patience, ServiceQuestion, Unjudged
from exercises.checks.flights import flights_of, spread
from labserver.errors import LabError
from labserver.features.definitions import CATALOGUE
from labserver.model.bundle import load_bundle
from labserver.parts import Context, Parts
from labserver.running.process import scratch_home
from labserver.running.process import starting_stage as started
from labserver.settings import Settings
from labserver.stages.contents import parts_of_stage
from labserver.stages.own import OWN_MODULE_PREFIX, own_parts


class NotYet(Exception):
    """The check cannot go on; the last finding says why."""


@dataclass(frozen=True)
class StepBegun:
    """A step begins that can take long."""

    text: str


@dataclass(frozen=True)
class Attempt:
    """A learner's file, and what was built.

    Attributes:
        lesson: 0 to 9.
        file: the learner's file.
        settings: of a home folder with what was built, by links, and a state that only this check sees.
        patience: time limits of a running service.
    """

    lesson: int
    file: Path
    settings: Settings
    patience: Patience = USUAL_PATIENCE

    def own(self) -> dict[str, Any]:
        """The parts that the file defines.

        Raises:
            LabError: if it does not run, or defines none.
        """
        return own_parts(self.file)

    def named(self, name: str) -> Any:
        """Another name that the file defines: one that the exercise requires and that is no part.

        Raises:
            LabError: if there is no such name in it, or it does not run.
        """
        own_parts(self.file)
        try:
            return getattr(sys.modules[f"{OWN_MODULE_PREFIX}{self.file.stem}"], name)
        except AttributeError:
            raise LabError(f"{self.file.name} does not define {name}.") from None

    def context(self) -> Context:
        """What a part is made from: the bundle, and the course's catalogue with what training saw."""
        bundle = load_bundle(self.settings.bundle)
        return Context(self.settings, bundle, CATALOGUE.with_trained(bundle.catalogue))

    def parts(self) -> Parts:
        """The parts of this lesson's stage, with the learner's own among them."""
        return parts_of_stage(self.lesson, self.own())

    @contextmanager
    def service(
        self, lesson: int | None = None, *, own: bool = True, workers: int = 1, **settings: object
    ) -> Iterator[Answering]:
        """A service of this lesson's stage in its own process, with the learner's part.

        Args:
            lesson: a different stage.
            own: use the learner's part; else the course's own.
            workers: worker processes.
            settings: any of :class:`labserver.settings.Settings`.

        Raises:
            LabError: if it ends before it is ready; quotes it.
            Doubtful: if it is not ready in time, or a request is not answered: the cause has to be found out.
            Unjudged: if that is the course's own service, or it was killed.
        """
        given = {name: str(value) for name, value in settings.items()}
        chosen = self.lesson if lesson is None else lesson
        # The service's own time limit of a request is switched off: here the check's patience is the only one.
        patience = {"LABSERVER_REQUEST_TIMEOUT_SECONDS": str(self.patience.answer)}
        environment = patience | {f"LABSERVER_{name.upper()}": value for name, value in given.items()}
        if own:
            environment["LABSERVER_PARTS"] = str(self.file)
        with (
            scratch_home(self.settings) as home,
            started(home, chosen, workers=workers, environment=environment) as server,
            requests.Session() as session,
        ):
            session.trust_env = False
            service = Answering(server, session, home, self.patience, ServiceQuestion(chosen, workers, given), own)
            try:
                service.await_ready()
                yield service
            except (Doubtful, Unjudged):
                server.process.kill()  # what is measured next must not compete with it
                raise

    def flights(self, day: str, number: int) -> list[dict[str, Any]]:
        """At most ``number`` flights, spread over a day such as ``"2013-10-15"``, as bodies of requests."""
        flights = flights_of(self.settings.warehouse, day)
        if not flights:
            raise LabError(f"There are no flights on {day}.")
        return list(spread(flights, number))
