"""``labserver``, and ``python -m labserver``: the command line, once Ctrl-C and SIGTERM are taken care of."""

from __future__ import annotations

from labserver.interrupts import end_on_sigterm, one_line
from labserver.search_path import leave_out_others


def main() -> None:
    """Run a command. Its imports take a while, and can be interrupted too."""
    end_on_sigterm()
    leave_out_others()
    with one_line():
        from labserver.cli import main as run

        run()


if __name__ == "__main__":
    main()
