"""A running service with the learner's part, and the errors of a check when it does not answer."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, replace
from typing import Any

import requests

from exercises.checks.doubt import KILLED_FROM_OUTSIDE, Doubt, Doubtful, Patience, ServiceQuestion, Unjudged
from exercises.checks.result import CheckFinding
from labserver.errors import LabError
from labserver.running.process import Server
from labserver.settings import Settings

TRY_AGAIN = (408, 503, 504)
"""Statuses of a service that had no time. A check that sends one request at a time never expects them."""


class TooLate(Exception):
    """There was no answer in time, or one of :data:`TRY_AGAIN`; says which."""


@dataclass(frozen=True)
class Answering:
    """A live service.

    Attributes:
        server: its process.
        session: of HTTP.
        settings: of its own home folder: move the clock of the online store there.
        patience: its time limits.
        stage: the stage that it runs.
        own: true if it has the learner's part.
    """

    server: Server
    session: requests.Session
    settings: Settings
    patience: Patience
    stage: ServiceQuestion
    own: bool

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    def get(self, path: str) -> requests.Response:
        """A GET. An answer of :data:`TRY_AGAIN`, or none, ends the check."""
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> requests.Response:
        """A POST of JSON. An answer of :data:`TRY_AGAIN`, or none, ends the check."""
        return self.ask("POST", path, body)

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        """A request.

        Raises:
            Doubtful: if it was not answered.
            Unjudged: if that was the course's own service, or it was killed.
            LabError: if the service ended; quotes it.
        """
        try:
            return asked(self.session, method, self.url + path, body, self.patience.answer)
        except TooLate as late:
            raise self.doubtful(str(late), replace(self.stage, method=method, path=path, body=body)) from None
        except requests.ConnectionError as error:
            raise self._gone(error, f"{method} {path}") from None

    def await_ready(self) -> None:
        """Wait until it is ready. Raises what :meth:`ask` raises."""
        try:
            self.server.await_ready(seconds=self.patience.ready)
        except LabError:
            code = self.server.process.poll()
            if code is None:
                raise self.doubtful(f"the service was not ready within {self.patience.ready:g} s", self.stage) from None
            if code == -signal.SIGKILL:
                raise Unjudged(KILLED_FROM_OUTSIDE) from None
            raise

    def doubtful(self, seen: str, question: ServiceQuestion) -> Doubtful | Unjudged:
        """The exception to raise if the service took too long."""
        if not self.own:
            return Unjudged(f"the course's own service did not do it either: {seen}. Run it again")
        sent = f"{question.method} {question.path}" if question.path else f"the service of lesson {question.lesson}"
        return Doubtful(
            Doubt(
                seen,
                CheckFinding(
                    "The live service answers in time.",
                    False,
                    sent=sent,
                    received=seen,
                    expected="an answer. With the course's own part the same service gives one",
                    why="A loop without an end, or a wait for something that never comes: every client waits with it.",
                    mistake="no-answer",
                ),
                question,
            )
        )

    def _gone(self, error: requests.ConnectionError, sent: str) -> Exception:
        try:
            code: int | None = self.server.process.wait(1)
        except subprocess.TimeoutExpired:
            code = None
        if code == -signal.SIGKILL:
            return Unjudged(KILLED_FROM_OUTSIDE)
        if code is None:
            return LabError(f"The connection broke at {sent}: {error}")
        last = " ".join(self.server.log.read_text(errors="replace").split())[-300:]
        return LabError(f"The service ended at {sent} (exit code {code}). {last}")


def asked(session: requests.Session, method: str, url: str, body: Any, seconds: float) -> requests.Response:
    """The answer to a request.

    Raises:
        TooLate: if there was none in time, or one of :data:`TRY_AGAIN`.
        requests.ConnectionError: if nothing listens, or the connection broke.
    """
    try:
        answer = session.request(method, url, json=body, timeout=seconds)
    except requests.Timeout:
        raise TooLate(f"no answer within {seconds:g} s") from None
    except requests.ConnectionError as error:
        if "timed out" in str(error):  # in the middle of an answer
            raise TooLate(f"no whole answer within {seconds:g} s") from None
        raise
    if answer.status_code in TRY_AGAIN:
        raise TooLate(f"the answer {answer.status_code}: {_detail(answer)}")
    return answer


def _detail(answer: requests.Response) -> str:
    try:
        return str(answer.json()["detail"])[:200].rstrip(".")
    except (ValueError, KeyError, TypeError):
        return answer.reason
