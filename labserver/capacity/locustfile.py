"""A simulated user: sends a request, waits for the answer, sends the next one without a pause (a closed loop).

Locust runs this file in a process of its own, see ``labserver.capacity.levels``: gevent, which it rests on, replaces
the sockets of the whole process.
"""

from __future__ import annotations

from locust import FastHttpUser, constant, task

from labserver.capacity.question import BODY, PATH


class Passenger(FastHttpUser):
    """Asks about one flight, over and over."""

    wait_time = constant(0)

    @task
    def predict(self) -> None:
        """One prediction. Locust counts any answer from 400 on as a failure."""
        self.client.post(PATH, data=BODY, headers={"Content-Type": "application/json"})
