"""What a check works with: the learner's file, and live services that hold it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import requests

from labserver.capacity.process import running_stage, scratch_home
from labserver.errors import LabError
from labserver.parts import Parts
from labserver.settings import Settings
from labserver.sources.warehouse import open_warehouse
from labserver.stages import OWN, own_parts, stage


class NotYet(Exception):
    """The check cannot go on; the last finding says why."""


@dataclass(frozen=True)
class Answering:
    """A live service that holds the learner's part.

    Attributes:
        url: its address.
        session: of HTTP.
        settings: of its own home folder: move the clock of the online store there.
    """

    url: str
    session: requests.Session
    settings: Settings

    def get(self, path: str) -> requests.Response:
        """A GET, within 20 s."""
        return self.session.get(self.url + path, timeout=20)

    def post(self, path: str, body: Any) -> requests.Response:
        """A POST of JSON, within 20 s."""
        return self.session.post(self.url + path, json=body, timeout=20)


@dataclass(frozen=True)
class Attempt:
    """A learner's file, and what was built.

    Attributes:
        lesson: 0 to 9.
        file: the learner's file.
        settings: of a home folder with what was built, by links, and a state that only this check sees.
    """

    lesson: int
    file: Path
    settings: Settings

    def own(self) -> dict[str, Any]:
        """The parts that the file defines.

        Raises:
            LabError: if it does not run, or defines none.
        """
        return own_parts(self.file)

    def named(self, name: str) -> Any:
        """What else the file defines, by name: what the exercise asks for and is no part.

        Raises:
            LabError: if there is no such name in it, or it does not run.
        """
        own_parts(self.file)
        try:
            return getattr(sys.modules[f"{OWN}{self.file.stem}"], name)
        except AttributeError:
            raise LabError(f"{self.file.name} does not define {name}.") from None

    def parts(self) -> Parts:
        """The parts of this lesson's stage, with the learner's own among them."""
        return stage(self.lesson, self.own())

    @contextmanager
    def service(
        self, lesson: int | None = None, *, own: bool = True, workers: int = 1, **settings: object
    ) -> Iterator[Answering]:
        """A service of this lesson's stage in a process of its own, that holds the learner's part.

        Args:
            lesson: another stage.
            own: whether the learner's part is in it; without it, the course's own is.
            workers: worker processes.
            settings: any of :class:`labserver.settings.Settings`.

        Raises:
            LabError: if it does not become ready; quotes it.
        """
        environment = {f"LABSERVER_{name.upper()}": str(value) for name, value in settings.items()}
        if own:
            environment["LABSERVER_PARTS"] = str(self.file)
        chosen = self.lesson if lesson is None else lesson
        with (
            scratch_home(self.settings) as home,
            running_stage(home, chosen, workers=workers, environment=environment) as server,
            requests.Session() as session,
        ):
            session.trust_env = False
            yield Answering(server.url, session, home)

    def flights(self, day: str, number: int) -> list[dict[str, Any]]:
        """At most ``number`` flights, spread over a day such as ``"2013-10-15"``, as bodies of requests."""
        with open_warehouse(self.settings.warehouse) as db:
            rows = db.execute(
                """SELECT carrier, flight, origin, dest, tailnum, scheduled_departure FROM flights
                WHERE day = $day ORDER BY flight_id""",
                {"day": date.fromisoformat(day)},
            ).fetchall()
        if not rows:
            raise LabError(f"There are no flights on {day}.")
        names = ("carrier", "flight", "origin", "dest", "tailnum")
        chosen = rows[:: max(1, -(-len(rows) // number))]
        return [dict(zip(names, row[:5], strict=True)) | {"scheduled_departure": row[5].isoformat()} for row in chosen]
