"""Sends the course's own service the request that the learner's did not answer.

``python -m exercises.lab.counterpart HOME ANSWER READY WHAT`` prints what went wrong, and nothing if it answers. WHAT
is a :class:`exercises.checks.doubt.ServiceQuestion`, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from exercises.checks.attempt import Attempt
from exercises.checks.doubt import Patience, ServiceQuestion, Unjudged
from labserver.errors import LabError
from labserver.settings import Settings


def main() -> None:
    """Send the request, and print what went wrong."""
    home, answer, ready, what = sys.argv[1:]
    print(
        failure(ServiceQuestion(**json.loads(what)), Settings(home=Path(home)), Patience(float(answer), float(ready)))
    )


def failure(question: ServiceQuestion, settings: Settings, patience: Patience) -> str:
    """A message on what went wrong; empty if the service is ready and answers."""
    attempt = Attempt(question.lesson, Path(os.devnull), settings, patience)
    try:
        with attempt.service(None, own=False, workers=question.workers, **dict[str, Any](question.settings)) as service:
            if question.path:
                service.ask(question.method, question.path, question.body)
    except (LabError, Unjudged) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
