"""The supervisor of several workers: it replaces one that ends, unless none of them could be made."""

from __future__ import annotations

from uvicorn.supervisors import Multiprocess

from labserver.monitor.workers import has_begun, has_failed


class Supervisor(Multiprocess):
    """Stops with the first workers if they cannot be made: others would fail as they did, without end."""

    failed = False
    """True if no worker could be made."""

    def keep_subprocess_alive(self) -> None:
        """See :class:`uvicorn.supervisors.Multiprocess`: called twice a second."""
        if not self.should_exit.is_set() and has_failed() and not has_begun():
            self.failed = True
            self.should_exit.set()
        super().keep_subprocess_alive()
