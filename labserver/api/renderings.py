"""Documents that cost more than a prediction, made once for all who ask for them in the same turn of the event loop.

``/metrics`` and ``/v1/monitor`` are answered however busy the service is. A hundred clients that ask at once would
otherwise make a prediction wait for a hundred of them. Each document is made after its request has arrived, so it is
as true as one made for that request alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Rendering:
    """One document, as bytes."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render
        self._next: asyncio.Future[bytes] | None = None

    def get(self) -> asyncio.Future[bytes]:
        """The document as it is at the end of this turn."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            loop.call_soon(self._finish)
        return self._next

    def _finish(self) -> None:
        waiting, self._next = self._next, None
        assert waiting is not None  # noqa: S101  (get planned this call)
        try:
            content = self._render()
        except Exception as error:
            waiting.set_exception(error)
        else:
            waiting.set_result(content)
